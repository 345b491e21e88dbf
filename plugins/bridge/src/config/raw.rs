//! The configuration as it is written. Everything may be missing, and numbers may be out of range.

use cni_types::Dns;
use serde::Deserialize;

/// All that ADD, CHECK and STATUS read and no other plugin has.
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

/// What DEL and GC read to find rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawMasquerading {
    pub(super) ip_masq: bool,
}
