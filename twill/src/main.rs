//! The multi-call binary: the base name of `argv[0]` selects a plugin. Under its own name, `twill`,
//! it has the operator's commands.

#[cfg(panic = "abort")]
mod no_backtrace;

use std::process::ExitCode;

fn main() -> ExitCode {
    cni_plugin::main_of_bundle(twill::PLUGINS).unwrap_or_else(twill::main)
}
