//! Runs a plugin's test binary in a virtual machine whose kernel has ipvlan:
//!
//! ```text
//! cargo run -p vm --example plugin-tests -- <folder for the kernel> <folder of the plugins> <test binary> [its arguments]
//! ```

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for developers"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use vm::{Kernel, Machine};

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let mut path = |what: &str| {
        let text = args.next().with_context(|| format!("{what} is missing"))?;
        std::path::absolute(text).with_context(|| format!("{what} is no path"))
    };
    let kernel = Kernel::of_debian(&path("the folder for the kernel")?)?;
    let plugins = path("the folder of the plugins")?;
    let test = path("the test binary")?;
    let rest: Vec<String> = args.collect();

    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = std::fs::canonicalize(crates.join(".."))?;
    let mut machine = Machine::new(kernel)?
        .modules(&["veth", "macvlan", "ipvlan", "llc", "stp", "bridge"])
        .limit(Duration::from_secs(1500))
        .folder("/var/lib/cni")
        .folder("/etc/cni")
        // Some tests go from here to macvlan's files.
        .folder(root.join("plugins/ipvlan"))
        .copy_as(&test, "/root/test")?
        .copy(root.join("crates/testkit/scripted-delegate.sh"))?
        .copy(root.join("plugins/macvlan/tests/support/unprivileged.sh"))?;
    for name in ["ipvlan", "macvlan", "loopback", "host-local"] {
        machine = machine.copy_as(plugins.join(name), Path::new("/plugins").join(name))?;
        let reference = Path::new("/usr/lib/cni").join(name);
        if reference.is_file() {
            machine = machine.copy(reference)?;
        }
    }
    for program in ["ip", "ping", "setpriv"] {
        machine = machine.copy(find(program)?)?;
    }
    let script = format!(
        "export TWILL_PLUGIN_DIR=/plugins RUST_BACKTRACE=0\nuname -r\n/root/test {}\n",
        rest.join(" ")
    );
    let finished = machine.run(&script)?;
    println!("{}", finished.console);
    Ok(match finished.status {
        Some(0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// A program in `PATH`.
fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("{program} is not installed"))
}
