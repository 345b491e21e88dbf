//! A place where nothing can be broken.

use std::fs;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::unistd::{chdir, chroot};
use testkit::Node;

const ROOT: &str = "/run/jail";

/// Runs a closure on a thread whose network is a node's, and whose whole file system is a few empty
/// directories in memory and `/proc`. All is gone when the closure has ended.
pub(crate) fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let node = Node::new()?;
    node.enter(|| {
        close()?;
        Ok(work())
    })
}

fn close() -> Result<()> {
    let proc = format!("{ROOT}/proc");
    fs::create_dir_all(&proc)?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(
        Some("/proc"),
        proc.as_str(),
        None::<&str>,
        flags,
        None::<&str>,
    )
    .context("cannot have /proc in the jail")?;
    chroot(ROOT).context("cannot enter the jail")?;
    chdir("/").context("cannot leave the old directory")
}
