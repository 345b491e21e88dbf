//! Programs of the bench, built and installed as the plugins are.
//!
//! Installed, too: a copy lies in the page cache in larger pieces than what a linker wrote, takes
//! fewer page faults, and starts up to a tenth faster.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use xtask::command::{self, Show};
use xtask::dist::{self, RUSTFLAGS};
use xtask::platform::Platform;

use crate::Setting;

/// What the release profile says, in the compiler's words.
const PROFILE: [&str; 5] = [
    "codegen-units=1",
    "lto=fat",
    "opt-level=s",
    "panic=abort",
    "strip=symbols",
];

/// Builds a program of one file and returns its path.
pub(crate) fn build(dir: &Path, name: &str, text: &str, platform: &Platform) -> Result<PathBuf> {
    let program = dir.join(name);
    let [source, linked] = ["rs", "linked"].map(|extension| program.with_extension(extension));
    crate::write(&source, text)?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc
        .args(PROFILE.iter().flat_map(|flag| ["-C", flag]))
        .args(RUSTFLAGS.split_whitespace())
        .args(["--target", platform.triple(), "--edition", "2024", "-o"])
        .args([&linked, &source]);
    command::run(rustc, Show::IfItFails)?;
    dist::install(&linked, &program)?;
    Ok(program)
}

/// Builds something of the workspace, named by cargo's arguments, and installs what cargo leaves
/// at `built` in its directory of release builds.
pub(crate) fn cargo(setting: &Setting, arguments: &[&str], built: &str, to: &Path) -> Result<()> {
    let platform = Platform::of_plugins()?;
    let release = ["build", "--release", "--target", platform.triple()];
    let mut cargo = setting.workspace.cargo(&[&release, arguments].concat());
    cargo
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command::run(cargo, Show::IfItFails)?;
    let built_in = setting
        .workspace
        .target
        .join(platform.triple())
        .join("release");
    dist::install(&built_in.join(built), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_built_like_the_plugins() {
        let profile = include_str!("../../../../Cargo.toml").replace([' ', '"'], "");
        for flag in PROFILE {
            let in_profile = flag.replace("strip=symbols", "strip=true");
            assert!(profile.contains(&in_profile), "{flag}");
        }
    }
}
