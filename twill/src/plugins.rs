//! The plugins in the binary.

use cni_plugin::Bundle;
use twill_bandwidth::Bandwidth;
use twill_bridge::Bridge;
use twill_flannel::Flannel;
use twill_host_local::HostLocal;
use twill_ipvlan::IPVLAN;
use twill_loopback::Loopback;
use twill_macvlan::MACVLAN;
use twill_portmap::Portmap;

/// The plugins in the binary.
pub const PLUGINS: Bundle<'_> = Bundle::new(&[
    &Bandwidth, &Bridge, &Flannel, &HostLocal, &IPVLAN, &Loopback, &MACVLAN, &Portmap,
]);
