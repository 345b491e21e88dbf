//! A kernel of Debian's, from its packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xtask::command::output;

/// Gets Debian's cloud kernel, which is what the metapackage depends on, and its static busybox
/// with apt, and unpacks them here. Nothing is installed.
const GET: &str = "
get() {
    kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)
    apt-get -qq download \"$kernel\" busybox-static
}
get || { apt-get -qq update && get; }
for package in *.deb; do dpkg -x \"$package\" . && rm \"$package\" || exit 1; done";

/// A kernel with its modules, and a busybox to go with it.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The kernel's image.
    pub image: PathBuf,
    /// The directory that has its modules, in further directories.
    pub modules: PathBuf,
    /// A busybox without libraries.
    pub busybox: PathBuf,
}

impl Kernel {
    /// Gets Debian's cloud kernel and its static busybox with apt, and unpacks them into a
    /// directory, unless they are there. Nothing is installed. If need be, apt's lists are updated,
    /// which takes root.
    ///
    /// # Errors
    /// Without apt, or if the packages cannot be downloaded.
    pub fn of_debian(dir: &Path) -> Result<Self> {
        if let Ok(kernel) = Self::unpacked(dir) {
            return Ok(kernel);
        }
        let above = dir.parent().context("the kernel's directory is `/`")?;
        fs::create_dir_all(above).with_context(|| format!("cannot create {}", above.display()))?;
        // In its place it is whole.
        let aside = tempfile::tempdir_in(above).context("cannot make a temporary directory")?;
        output(Command::new("sh").args(["-c", GET]).current_dir(&aside))?;
        Self::unpacked(aside.path())?;
        drop(fs::remove_dir_all(dir));
        fs::rename(aside.path(), dir)
            .with_context(|| format!("cannot create {}", dir.display()))?;
        Self::unpacked(dir)
    }

    /// The kernel that was unpacked into a directory.
    fn unpacked(dir: &Path) -> Result<Self> {
        Ok(Self {
            image: find(&dir.join("boot"), "vmlinuz-*")?,
            modules: dir.join("lib/modules"),
            busybox: find(&dir.join("bin"), "busybox")?,
        })
    }

    /// The file of a module, such as `ipvlan`.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn module(&self, name: &str) -> Result<PathBuf> {
        find(&self.modules, &format!("{name}.ko"))
    }
}

/// The first file below a directory whose name is like this.
fn find(dir: &Path, name: &str) -> Result<PathBuf> {
    let found = output(Command::new("find").arg(dir).args(["-name", name]))?;
    let first = found.lines().next().map(PathBuf::from);
    first.with_context(|| format!("no {name} in {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let kernel = Kernel {
            image: PathBuf::new(),
            modules: dir.path().to_owned(),
            busybox: PathBuf::new(),
        };
        let error = kernel.module("ipvlan").unwrap_err().to_string();
        assert!(error.starts_with("no ipvlan.ko in "), "{error}");
        fs::write(dir.path().join("ipvlan.ko"), "").unwrap();
        assert_eq!(
            kernel.module("ipvlan").unwrap(),
            dir.path().join("ipvlan.ko")
        );
    }
}
