//! The plugin's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_plugin::main(&twill_portmap::PORTMAP)
}
