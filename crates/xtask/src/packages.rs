//! The Debian packages that tests and demo need.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{self, Show};

const NEEDED: [(&str, &str); 7] = [
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("chattr", "e2fsprogs"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("ping", "iputils-ping"),
    ("strace", "strace"),
];

/// The packages that are not installed.
pub(crate) fn missing() -> Vec<&'static str> {
    let absent = NEEDED.iter().filter(|(program, _)| !is_there(program));
    absent.map(|(_, package)| *package).collect()
}

/// Installs what is missing, and says so. Needs root if anything is.
pub(crate) fn install_missing() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    ensure!(
        is_there("apt-get"),
        "install what Debian has in {packages}: there is no apt-get here"
    );
    println!("installing Debian packages that are missing: {packages}");
    let apt_get = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-qq", "-y"])
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command::run(command, Show::IfItFails)
    };
    apt_get(&["update"]).with_context(|| format!("cannot install {packages}"))?;
    apt_get(&[&["install", "--no-install-recommends"], &*missing].concat())?;
    let missing = self::missing().join(" ");
    ensure!(
        missing.is_empty(),
        "{missing}: installed, but the programs are not in their places"
    );
    Ok(())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An absolute program replaces the folder it is joined to.
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        || (program.starts_with('/') && Path::new(program).is_file())
}
