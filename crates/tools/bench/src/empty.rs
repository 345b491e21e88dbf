//! The program that does nothing, built and installed as the plugins are.
//!
//! Installed, too: a copy lies in the page cache in larger pieces than what a linker wrote, takes
//! fewer page faults, and starts up to a tenth faster.

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

/// Builds the program, with the machine's own C library, and returns its path.
pub(crate) fn build(dir: &Path) -> Result<PathBuf> {
    let platform = Platform::of_machine()?;
    let program = dir.join("empty");
    let [source, linked] = ["rs", "linked"].map(|extension| program.with_extension(extension));
    crate::write(&source, "fn main() {}\n")?;
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
