//! The plugins in the binary.

use cni_plugin::Bundle;
use twill_bandwidth::BANDWIDTH;
use twill_bridge::BRIDGE;
use twill_flannel::FLANNEL;
use twill_host_local::HOST_LOCAL;
use twill_ipvlan::IPVLAN;
use twill_loopback::LOOPBACK;
use twill_macvlan::MACVLAN;
use twill_portmap::PORTMAP;

/// The plugins in the binary.
pub const PLUGINS: Bundle<'_> = Bundle::new(&[
    &BANDWIDTH,
    &BRIDGE,
    &FLANNEL,
    &HOST_LOCAL,
    &IPVLAN,
    &LOOPBACK,
    &MACVLAN,
    &PORTMAP,
]);
