//! What programs are compiled for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{self, Show};

/// A target triple that the compiler has a standard library for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform(String);

impl Platform {
    /// The machine's own, with the C library that it has.
    pub fn of_machine() -> Result<Self> {
        let version = rustc(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self(
            host.context("`rustc -vV` does not name the host")?
                .to_owned(),
        ))
    }

    /// What the plugins are compiled for: the machine's own with musl for its C library, a third of
    /// glibc's start. glibc asks the processor for its features in dozens of instructions that a
    /// virtual machine has to emulate, each for microseconds, before a static program comes to its
    /// first line.
    ///
    /// Where musl's standard library is missing and cannot be installed, it is the machine's own.
    pub fn of_plugins() -> Result<Self> {
        let own = Self::of_machine()?;
        let Some(stem) = own.0.strip_suffix("-gnu") else {
            return Ok(own);
        };
        let musl = Self(format!("{stem}-musl"));
        if musl.is_installed()? || musl.install().is_ok() {
            Ok(musl)
        } else {
            Ok(own)
        }
    }

    /// As `--target` takes it.
    pub fn triple(&self) -> &str {
        &self.0
    }

    fn is_installed(&self) -> Result<bool> {
        let dir = rustc(&["--print", "target-libdir", "--target", &self.0])?;
        Ok(Path::new(dir.trim_end()).is_dir())
    }

    fn install(&self) -> Result<()> {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", &self.0]);
        command::run(rustup, Show::IfItFails)
    }
}

/// The directory of the tools of the compiler's own llvm; rustup installs them if they are missing.
pub fn llvm_tools() -> Result<PathBuf> {
    let libraries = rustc(&["--print", "target-libdir"])?;
    let dir = Path::new(libraries.trim_end()).with_file_name("bin");
    let is_there = || dir.join("llvm-cov").is_file() && dir.join("llvm-profdata").is_file();
    if !is_there() {
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", "llvm-tools"]);
        command::run(rustup, Show::IfItFails)?;
    }
    ensure!(is_there(), "no llvm-cov in {}", dir.display());
    Ok(dir)
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run `rustc {}`", arguments.join(" ")))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_is_there() {
        let own = Platform::of_machine().unwrap();
        assert!(own.triple().contains("-linux-"), "{}", own.triple());
        assert!(own.is_installed().unwrap());
        let none = Platform("x86_64-nobody-linux-none".to_owned());
        assert!(!none.is_installed().unwrap());
    }
}
