//! Programs that are built for this subject alone, in the way the plugins are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use xtask::command::{self, Show};
use xtask::dist::{self, RUSTFLAGS};
use xtask::platform::Platform;
use xtask::workspace::Workspace;

/// The plugins of the chain, in the order of their calls.
pub(super) const PLUGINS: [&str; 3] = ["flannel", "bridge", "host-local"];

/// What is built, and for what.
pub(super) struct Builder<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) platform: Platform,
}

impl Builder<'_> {
    /// Builds one of the plugins as a program of its own and leaves it in a folder.
    pub(super) fn plugin(&self, name: &str, folder: &Path) -> Result<PathBuf> {
        let manifest = format!("plugins/{name}/Cargo.toml");
        self.build(&["--manifest-path", &manifest], name, &folder.join(name))
    }

    /// Builds the program that does nothing but attach, and leaves it in a folder.
    pub(super) fn floor(&self, folder: &Path) -> Result<PathBuf> {
        let arguments = ["--package", "netlink", "--example", "attach"];
        self.build(&arguments, "examples/attach", &folder.join("attach"))
    }

    /// `built` is relative to cargo's folder of release builds.
    fn build(&self, arguments: &[&str], built: &str, to: &Path) -> Result<PathBuf> {
        let triple = self.platform.triple();
        let release = ["build", "--release", "--target", triple];
        let mut cargo = self.workspace.cargo(&[&release, arguments].concat());
        cargo
            .env("RUSTFLAGS", RUSTFLAGS)
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        command::run(cargo, Show::IfItFails)?;
        let folder = self.workspace.target.join(triple).join("release");
        dist::install(&folder.join(built), to)?;
        Ok(to.to_owned())
    }
}

/// An error unless the plugins in a folder are one file under several names.
pub(super) fn check_one_file(folder: &Path) -> Result<()> {
    let mut files = Vec::new();
    for name in PLUGINS {
        files.push(file(&folder.join(name))?);
    }
    files.dedup();
    ensure!(
        files.len() == 1,
        "{} are several files in {}",
        PLUGINS.join(", "),
        folder.display()
    );
    Ok(())
}

/// How much the files in a folder take on a disk together, in KiB, each counted once whatever its names.
pub(super) fn size(folder: &Path) -> Result<u64> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        files.push(file(&entry?.path())?);
    }
    files.sort_unstable();
    files.dedup();
    let bytes: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
    Ok(bytes.div_ceil(1024))
}

/// Which file a path leads to, and its size in bytes.
fn file(path: &Path) -> Result<(u64, u64, u64)> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot find {}", path.display()))?;
    Ok((metadata.dev(), metadata.ino(), metadata.size()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_of_several_names_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("twill"), vec![0; 5000]).unwrap();
        fs::hard_link(path("twill"), path("bridge")).unwrap();
        symlink("twill", path("flannel")).unwrap();
        let error = check_one_file(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("/host-local"), "{error}");
        symlink("bridge", path("host-local")).unwrap();
        assert_eq!(size(folder.path()).unwrap(), 5);
        check_one_file(folder.path()).unwrap();

        fs::remove_file(path("bridge")).unwrap();
        fs::write(path("bridge"), vec![0; 1024]).unwrap();
        assert_eq!(size(folder.path()).unwrap(), 6);
        let error = check_one_file(folder.path()).unwrap_err().to_string();
        assert!(error.contains("are several files"), "{error}");
    }
}
