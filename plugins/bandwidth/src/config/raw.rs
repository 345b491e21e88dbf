//! The keys as they are written, in the configuration and in `runtimeConfig.bandwidth`.

use serde::Deserialize;

/// Rates in bits per second, bursts in bits; 0 means the same as absence.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawConf {
    pub(super) ingress_rate: u64,
    pub(super) ingress_burst: u64,
    pub(super) egress_rate: u64,
    pub(super) egress_burst: u64,
    pub(super) shaped_subnets: Vec<String>,
    pub(super) unshaped_subnets: Vec<String>,
}

impl RawConf {
    pub(super) const KEYS: [&str; 6] = [
        "ingressRate",
        "ingressBurst",
        "egressRate",
        "egressBurst",
        "shapedSubnets",
        "unshapedSubnets",
    ];
}
