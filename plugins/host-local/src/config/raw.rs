//! The configuration as it is written: any key may be missing, and addresses are text.

use cni_types::Route;
use cni_types::json::OptionalText;
use serde::Deserialize;

/// The keys beside `ipam`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawConf {
    pub(super) runtime_config: RawRuntimeConfig,
    pub(super) args: RawArgs,
}

/// The keys of `ipam` that ADD and CHECK read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawIpam {
    subnet: OptionalText,
    range_start: OptionalText,
    range_end: OptionalText,
    gateway: OptionalText,
    pub(super) ranges: Vec<Vec<RawRange>>,
    pub(super) routes: Vec<Route>,
    pub(super) resolv_conf: OptionalText,
    pub(super) exclude: Vec<String>,
    pub(super) reclaim: OptionalText,
}

impl RawIpam {
    /// The range of the old style, whose keys are directly in `ipam`.
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
    pub(super) subnet: OptionalText,
    pub(super) range_start: OptionalText,
    pub(super) range_end: OptionalText,
    pub(super) gateway: OptionalText,
}

/// The capability arguments of the runtime (CNI conventions, "dynamic plugin specific fields").
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawRuntimeConfig {
    pub(super) ip_ranges: Vec<Vec<RawRange>>,
    pub(super) ips: Vec<OptionalText>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawArgs {
    pub(super) cni: RawCniArgs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawCniArgs {
    pub(super) ips: Vec<OptionalText>,
}

/// The keys of `ipam` that name the store.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawLocation {
    pub(super) data_dir: OptionalText,
    pub(super) backend: OptionalText,
    pub(super) lock_timeout: Option<f64>,
}
