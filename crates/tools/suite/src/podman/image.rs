//! Whether podman loads the image of a release, and what the image installs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use packaging::contents::Product;
use packaging::image;
use packaging::release::{Release, VERSION};
use xtask::architecture::ALL;

use super::disk::Disk;
use super::machine::Machine;
use crate::setting::Setting;

/// Podman takes the image of its own architecture from one that has all, compares the digests of
/// blobs, and runs it with a directory of the node, from which it is uninstalled again.
pub(super) fn check(node: &Machine<'_>, disk: &Disk, setting: &Setting) -> Result<()> {
    let twill = setting.workspace.dist_dir().join("twill");
    disk.write("none", "for another architecture")?;
    let binaries = ALL.iter().map(|architecture| {
        let own = architecture.is_own();
        let binary = if own {
            twill.clone()
        } else {
            disk.path("none")
        };
        let product = Product {
            binary,
            manual: disk.path("none"),
            notices: "notices".to_owned(),
        };
        (architecture, product)
    });
    let release = Release::new(&setting.workspace, disk.dir())?;
    let archive = image::write(&release, &binaries.collect::<Vec<_>>())?;
    node.podman(&["load", "--input", &archive.display().to_string()])?;

    let plugins = disk.path("plugins");
    fs::create_dir(&plugins)?;
    fs::write(plugins.join("bridge"), "Go")?;
    let volume = format!("--volume={}:/opt/cni/bin", plugins.display());
    let name = format!("localhost/twill:{VERSION}");
    let run = ["run", "--rm", "--network=none", &volume, &name];
    node.podman(&run)?;
    for plugin in setting
        .workspace
        .plugins()?
        .iter()
        .chain(&["twill".to_owned()])
    {
        let path = plugins.join(plugin);
        let is_installed = fs::read(&path).with_context(|| plugin.clone())? == fs::read(&twill)?;
        ensure!(is_installed, "{plugin} is not the release binary");
    }
    node.podman(&[&run[..], &["uninstall", "/opt/cni/bin"]].concat())?;
    expect_only_bridge(&plugins)?;
    node.podman(&["image", "rm", &name])?;
    Ok(())
}

fn expect_only_bridge(plugins: &Path) -> Result<()> {
    let left = super::disk::names(plugins)?;
    ensure!(left == ["bridge".to_owned()].into(), "left: {left:?}");
    ensure!(fs::read(plugins.join("bridge"))? == b"Go");
    Ok(())
}
