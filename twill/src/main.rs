//! The multi-call binary: the base name of `argv[0]` selects a plugin. Under its own name, `twill`,
//! it has the operator's commands.

use std::process::ExitCode;

use cni_plugin::Bundle;
use twill_bandwidth::Bandwidth;
use twill_bridge::Bridge;
use twill_flannel::Flannel;
use twill_host_local::HostLocal;
use twill_ipvlan::IPVLAN;
use twill_loopback::Loopback;
use twill_macvlan::MACVLAN;
use twill_portmap::Portmap;

const PLUGINS: Bundle<'_> = Bundle::new(&[
    &Bandwidth, &Bridge, &Flannel, &HostLocal, &IPVLAN, &Loopback, &MACVLAN, &Portmap,
]);

fn main() -> ExitCode {
    cni_plugin::main_of_bundle(PLUGINS).unwrap_or_else(twill::main)
}
