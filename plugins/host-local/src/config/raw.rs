//! The configuration as it is written. Everything may be missing, and every address is still text.

use cni_types::Route;
use serde::Deserialize;
use serde_json::value::RawValue;

/// All that ADD and CHECK read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawConf {
    pub(super) ipam: Option<RawIpam>,
    pub(super) runtime_config: RawRuntimeConfig,
    pub(super) args: RawArgs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawIpam {
    subnet: Option<String>,
    range_start: Option<String>,
    range_end: Option<String>,
    gateway: Option<String>,
    pub(super) ranges: Vec<Vec<RawRange>>,
    pub(super) routes: Vec<Route>,
    pub(super) resolv_conf: Option<String>,
    pub(super) exclude: Vec<String>,
    pub(super) reclaim: Option<String>,
}

impl RawIpam {
    /// The one range that `ipam` itself describes, as it was before there was `ranges`.
    pub(super) fn old_style(&self) -> RawRange {
        RawRange {
            subnet: self.subnet.clone(),
            range_start: self.range_start.clone(),
            range_end: self.range_end.clone(),
            gateway: self.gateway.clone(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawRange {
    pub(super) subnet: Option<String>,
    pub(super) range_start: Option<String>,
    pub(super) range_end: Option<String>,
    pub(super) gateway: Option<String>,
}

/// What the runtime adds for capabilities (CNI conventions, "dynamic plugin specific fields").
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawRuntimeConfig {
    pub(super) ip_ranges: Vec<Vec<RawRange>>,
    pub(super) ips: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawArgs {
    pub(super) cni: RawCniArgs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawCniArgs {
    pub(super) ips: Vec<String>,
}

/// All that DEL reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLocation {
    pub(super) ipam: Option<RawLocationIpam>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawLocationIpam {
    pub(super) data_dir: Option<String>,
    pub(super) backend: Option<String>,
    pub(super) lock_timeout: Option<f64>,
}

/// The same, where a key may be of any type that DEL can do without.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLenientLocation {
    pub(super) ipam: Option<RawLenientLocationIpam>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawLenientLocationIpam {
    pub(super) data_dir: Option<String>,
    pub(super) backend: Option<Box<RawValue>>,
    pub(super) lock_timeout: Option<Box<RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawPrevious {
    pub(super) prev_result: Option<Box<RawValue>>,
}
