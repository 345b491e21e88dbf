//! The configuration as it is written. Any key may be missing, and numbers may be out of range.

use cni_types::json::OptionalText;
use serde::Deserialize;

/// The keys of the plugin.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawConf {
    pub(super) backend: OptionalText,
    pub(super) snat: Option<bool>,
    pub(super) masq_all: bool,
    pub(super) mark_masq_bit: Option<i64>,
    pub(super) external_set_mark_chain: OptionalText,
    pub(super) conditions_v4: Option<Vec<String>>,
    pub(super) conditions_v6: Option<Vec<String>>,
}

/// `runtimeConfig`, which the runtime adds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawRuntimeConf {
    pub(super) port_mappings: Option<Vec<RawMapping>>,
}

/// An element of `portMappings`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawMapping {
    pub(super) host_port: Option<i64>,
    pub(super) container_port: Option<i64>,
    pub(super) protocol: OptionalText,
    #[serde(rename = "hostIP")]
    pub(super) host_ip: OptionalText,
}

impl RawMapping {
    /// The mapping in an error, with its place in the list.
    pub(super) fn in_words(&self, number: usize) -> String {
        let port = |port: Option<i64>| port.map_or_else(|| "none".to_owned(), |it| it.to_string());
        let (host, container) = (port(self.host_port), port(self.container_port));
        format!(
            "runtimeConfig.portMappings[{number}] (hostPort {host} to containerPort {container})"
        )
    }
}
