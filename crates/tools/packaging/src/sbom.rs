//! The list of the libraries in a binary (software bill of materials), in the CycloneDX format.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::architecture::Architecture;
use xtask::command::{self, Show};
use xtask::workspace::Workspace;

use crate::release::{Release, VERSION};

/// The program that makes the list, and its version: another one could write other bytes.
const TOOL: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// What cargo needs to know the dependencies.
const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", "crates", "plugins", "twill"];

/// Writes `twill-<version>-linux-<architecture>.cdx.json` for a target of the compiler, and returns
/// its path.
///
/// # Errors
/// If the tool cannot be installed, or fails.
pub fn write(release: &Release<'_>, architecture: &Architecture, triple: &str) -> Result<PathBuf> {
    let workspace = release.workspace;
    let tool = tool(workspace)?;
    // The tool writes a file beside each manifest.
    let copy = TempDir::with_prefix("twill-sbom-")?;
    let mut cp = Command::new("cp");
    cp.arg("--recursive").args(SOURCES).arg(copy.path());
    cp.current_dir(&workspace.root);
    command::run(cp, Show::IfItFails)?;
    let mut cyclonedx = Command::new(tool);
    cyclonedx
        .args(["cyclonedx", "--format=json", "--no-build-deps", "--target"])
        .args([triple, "--override-filename=bom", "--manifest-path"])
        .arg(copy.path().join("twill/Cargo.toml"))
        .env("SOURCE_DATE_EPOCH", release.time.to_string());
    command::run(cyclonedx, Show::IfItFails)?;
    let bom = copy.path().join("twill/bom.json");
    let bom = fs::read_to_string(&bom)
        .with_context(|| format!("cannot read {}", bom.display()))?
        .replace(&copy.path().display().to_string(), "/twill");
    let name = format!("twill-{VERSION}-linux-{}.cdx.json", architecture.name);
    let path = release.dir.join(name);
    fs::write(&path, bom).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The path of the tool, which is compiled if it is missing.
fn tool(workspace: &Workspace) -> Result<PathBuf> {
    let (name, version) = TOOL;
    let root = workspace.target.join("tools");
    let tool = root.join("bin").join(name);
    if !is_version(&tool, version) {
        let mut install = workspace.cargo(&["install", "--locked", "--force", "--root"]);
        install.arg(&root).arg(format!("{name}@{version}"));
        command::run(install, Show::IfItFails)?;
    }
    Ok(tool)
}

fn is_version(tool: &Path, version: &str) -> bool {
    let printed = command::output(Command::new(tool).args(["cyclonedx", "--version"]));
    printed.is_ok_and(|printed| printed.trim_end().ends_with(version))
}
