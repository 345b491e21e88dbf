//! The configuration as it is written. Everything may be missing, and numbers may be out of range.

use cni_types::Dns;
use serde::Deserialize;
use serde_json::value::RawValue;

/// All that ADD, CHECK and STATUS read, but for `ipam`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawConf {
    pub(super) bridge: Option<String>,
    pub(super) is_gateway: bool,
    pub(super) is_default_gateway: bool,
    pub(super) force_address: bool,
    pub(super) ip_masq: bool,
    pub(super) ip_masq_backend: Option<String>,
    pub(super) mtu: i64,
    pub(super) hairpin_mode: bool,
    pub(super) promisc_mode: bool,
    pub(super) vlan: i64,
    pub(super) vlan_trunk: Option<Vec<RawTrunk>>,
    pub(super) preserve_default_vlan: bool,
    #[serde(rename = "macspoofchk")]
    pub(super) mac_spoof_check: bool,
    #[serde(rename = "enabledad")]
    pub(super) enable_dad: bool,
    pub(super) disable_container_interface: bool,
    pub(super) port_isolation: bool,
    pub(super) dns: Dns,
    pub(super) args: RawArgs,
    pub(super) runtime_config: RawMac,
}

/// An element of `vlanTrunk`: a single VLAN, a range, or both.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawTrunk {
    #[serde(rename = "minID")]
    pub(super) min_id: Option<i64>,
    #[serde(rename = "maxID")]
    pub(super) max_id: Option<i64>,
    pub(super) id: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawArgs {
    pub(super) cni: RawMac,
}

/// What the runtime adds for the capability `mac`, and users by `args` (CNI conventions).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMac {
    pub(super) mac: Option<String>,
}

/// What DEL and GC read to find rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawMasquerading {
    pub(super) ip_masq: bool,
    pub(super) ip_masq_backend: Option<String>,
}

/// What DEL reads besides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawIpamConf {
    pub(super) ipam: RawIpam,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawIpam {
    #[serde(rename = "type")]
    pub(super) plugin_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawPrevious {
    pub(super) prev_result: Option<Box<RawValue>>,
}
