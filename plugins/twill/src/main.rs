//! The multi-call binary: the base name of `argv[0]` selects a plugin. Under its own name, `twill`,
//! it has the operator's commands.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command that people run: it prints"
)]

mod arguments;
mod convert;

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

use crate::arguments::{Arguments, USAGE};

const PLUGINS: Bundle<'_> = Bundle::new(&[
    &Bandwidth, &Bridge, &Flannel, &HostLocal, &IPVLAN, &Loopback, &MACVLAN, &Portmap,
]);

fn main() -> ExitCode {
    cni_plugin::main_of_bundle(PLUGINS).unwrap_or_else(operate)
}

fn operate() -> ExitCode {
    let done = match Arguments::from_process() {
        Ok(Arguments::Help) => {
            print!("{USAGE}");
            Ok(())
        }
        Ok(Arguments::Version) => {
            println!("twill {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Ok(Arguments::Convert(to)) => convert::run(&to),
        Err(error) => Err(anyhow::anyhow!("{error:#}; see twill --help")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twill: {error:#}");
            ExitCode::FAILURE
        }
    }
}
