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
    ///
    /// # Errors
    /// If the compiler cannot be run.
    pub fn of_machine() -> Result<Self> {
        let version = rustc(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("`rustc -vV` does not name the host")?;
        Ok(Self(host.to_owned()))
    }

    /// What the plugins are compiled for: the machine's own with musl for its C library, a third of
    /// glibc's start. glibc asks the processor for its features in dozens of instructions that a
    /// virtual machine has to emulate, each for microseconds, before a static program comes to its
    /// first line.
    ///
    /// Where musl's standard library is missing and cannot be installed, it is the machine's own.
    ///
    /// # Errors
    /// If the compiler cannot be run.
    pub fn of_plugins() -> Result<Self> {
        let own = Self::of_machine()?;
        let Some(stem) = own.0.strip_suffix("-gnu") else {
            return Ok(own);
        };
        Ok(Self::available(&format!("{stem}-musl")).unwrap_or(own))
    }

    /// A target; rustup installs its standard library if that is missing.
    ///
    /// # Errors
    /// If it cannot be installed.
    pub fn available(triple: &str) -> Result<Self> {
        let platform = Self(triple.to_owned());
        if !platform.is_installed()? {
            rustup(&["target", "add", triple])
                .with_context(|| format!("rustup has no standard library for {triple}"))?;
        }
        Ok(platform)
    }

    /// As `--target` takes it.
    pub fn triple(&self) -> &str {
        &self.0
    }

    fn is_installed(&self) -> Result<bool> {
        let dir = rustc(&["--print", "target-libdir", "--target", &self.0])?;
        Ok(Path::new(dir.trim_end()).is_dir())
    }
}

/// The directory of the compiler's own LLVM tools; rustup installs them if they are missing.
///
/// # Errors
/// If they cannot be installed.
pub fn llvm_tools() -> Result<PathBuf> {
    let libraries = rustc(&["--print", "target-libdir"])?;
    let dir = Path::new(libraries.trim_end()).with_file_name("bin");
    let is_there = || {
        ["llvm-cov", "llvm-profdata"]
            .iter()
            .all(|tool| dir.join(tool).is_file())
    };
    if !is_there() {
        rustup(&["component", "add", "llvm-tools"])?;
    }
    ensure!(is_there(), "no llvm-cov in {}", dir.display());
    Ok(dir)
}

fn rustup(arguments: &[&str]) -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.args(arguments);
    command::run(rustup, Show::IfItFails)
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    command::output(Command::new(rustc).args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_platform_is_installed() {
        let own = Platform::of_machine().unwrap();
        assert!(own.triple().contains("-linux-"), "{}", own.triple());
        assert!(own.is_installed().unwrap());
        let none = Platform("x86_64-nobody-linux-none".to_owned());
        assert!(!none.is_installed().unwrap_or_default());
    }
}
