//! A program that does nothing: what is left of a call when a plugin's own work is taken away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, Show};
use crate::dist::RUSTFLAGS;

/// What the release profile says, in the compiler's words.
const PROFILE: [&str; 5] = [
    "codegen-units=1",
    "lto=fat",
    "opt-level=s",
    "panic=abort",
    "strip=symbols",
];

/// Builds it, in the way the plugins are built, and tells where it is.
pub(super) fn build(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("empty");
    let source = folder.join("empty.rs");
    fs::write(&source, "fn main() {}\n")
        .with_context(|| format!("cannot write {}", source.display()))?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    for flag in PROFILE {
        rustc.args(["-C", flag]);
    }
    rustc
        .args(RUSTFLAGS.split_whitespace())
        .args(["--edition", "2024", "-o"])
        .args([&program, &source]);
    command::run(rustc, Show::IfItFails)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_built_like_the_plugins() {
        let profile = include_str!("../../../../Cargo.toml")
            .replace(' ', "")
            .replace("\"", "");
        for flag in PROFILE {
            let in_profile = flag.replace("strip=symbols", "strip=true");
            assert!(profile.contains(&in_profile), "{flag}");
        }
    }
}
