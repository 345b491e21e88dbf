//! The Debian packages that tests and demo need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{self, Show};

/// A program, by its name or its path, and the package that has it.
pub type Needed = (&'static str, &'static str);

/// What most tests need.
pub const NEEDED: &[Needed] = &[
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("chattr", "e2fsprogs"),
    ("cpio", "cpio"),
    ("fish", "fish"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("kubectl", "kubernetes-client"),
    ("nft", "nftables"),
    ("ping", "iputils-ping"),
    ("strace", "strace"),
    ("zsh", "zsh"),
];

/// What the demo needs.
pub const OF_DEMO: &[Needed] = &[("ip", "iproute2"), ("ping", "iputils-ping")];

/// Those of the packages that are not installed.
pub fn missing(needed: &[Needed]) -> Vec<&'static str> {
    let is_there = |program| {
        find(program).is_some() || (program.starts_with('/') && Path::new(program).exists())
    };
    let absent = needed.iter().filter(|(program, _)| !is_there(program));
    absent.map(|(_, package)| *package).collect()
}

/// Installs what is missing, and reports it. Needs root if anything is missing.
///
/// # Errors
/// If a package cannot be installed.
pub fn install_missing(needed: &[Needed]) -> Result<()> {
    let packages = missing(needed);
    if packages.is_empty() {
        return Ok(());
    }
    println!(
        "installing Debian packages that are missing: {}",
        packages.join(" ")
    );
    let apt_get = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-qq", "-y"])
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command::run(command, Show::IfItFails)
    };
    apt_get(&["update"])
        .and_then(|()| apt_get(&[&["install", "--no-install-recommends"], &*packages].concat()))
        .with_context(|| format!("cannot install {}", packages.join(" ")))?;
    let missing = missing(needed).join(" ");
    ensure!(
        missing.is_empty(),
        "{missing}: installed, but the programs are not in their places"
    );
    Ok(())
}

/// Where a program is in `PATH`, or in a directory that only root's `PATH` has.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    // An absolute program replaces the directory it is joined to.
    dirs.map(|dir| dir.join(program))
        .find(|file| file.is_file())
}
