//! The configuration as it is written. Any key may be missing, and numbers may be out of range.

use cni_types::json::OptionalText;
use serde::Deserialize;

/// The keys that only this plugin has, for ADD, CHECK and STATUS.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawConf {
    pub(super) bridge: Option<String>,
    pub(super) is_gateway: bool,
    pub(super) is_default_gateway: bool,
    pub(super) force_address: bool,
    pub(super) ip_masq: bool,
    pub(super) ip_masq_backend: OptionalText,
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
