//! Small programs of the bench's own, built and installed in the way the plugins are.
//!
//! Installed, too, since it counts how a file came to be in the page cache: a copy is there in larger pieces than what a
//! linker wrote, so it takes fewer page faults, and starts up to a tenth faster.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use xtask::command::{self, Show};
use xtask::dist::{self, RUSTFLAGS};
use xtask::platform::Platform;

/// What the release profile says, in the compiler's words.
const PROFILE: [&str; 5] = [
    "codegen-units=1",
    "lto=fat",
    "opt-level=s",
    "panic=abort",
    "strip=symbols",
];

/// Builds a program that does nothing.
pub(super) fn empty(folder: &Path, name: &str, platform: &Platform) -> Result<PathBuf> {
    build(folder, name, "fn main() {}\n", platform)
}

/// Builds a program of one file and tells where in the folder it is.
pub(super) fn build(folder: &Path, name: &str, text: &str, platform: &Platform) -> Result<PathBuf> {
    let program = folder.join(name);
    let [source, linked] = ["rs", "linked"].map(|extension| program.with_extension(extension));
    super::write(&source, text)?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    for flag in PROFILE {
        rustc.args(["-C", flag]);
    }
    rustc
        .args(RUSTFLAGS.split_whitespace())
        .args(["--target", platform.triple()])
        .args(["--edition", "2024", "-o"])
        .args([&linked, &source]);
    command::run(rustc, Show::IfItFails)?;
    dist::install(&linked, &program)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_built_like_the_plugins() {
        let profile = include_str!("../../../../Cargo.toml")
            .replace(' ', "")
            .replace("\"", "");
        for flag in PROFILE {
            let in_profile = flag.replace("strip=symbols", "strip=true");
            assert!(profile.contains(&in_profile), "{flag}");
        }
    }
}
