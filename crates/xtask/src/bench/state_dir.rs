//! Where plugins keep their state while they are measured.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A folder that goes with this value.
///
/// ext4, when it makes a file, looks at each inode near the folder that was freed in the last minutes, to pass over it. After the
/// removal of many files, such as a run's own at its end, that takes a millisecond for each file that the next run makes. So
/// the folders in this one are spread over the disk, by the attribute that chattr(1) calls `T`, where there is such a thing.
#[derive(Debug)]
pub(super) struct StateDir(TempDir);

impl StateDir {
    /// Makes one inside a folder.
    pub(super) fn new(inside: &Path) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("state-").tempdir_in(inside);
        let made = made.with_context(|| format!("cannot make a folder in {}", inside.display()))?;
        let mut chattr = Command::new("chattr");
        chattr.arg("+T").arg(made.path());
        // Other file systems know no such attribute, and need none.
        drop(chattr.stdout(Stdio::null()).stderr(Stdio::null()).status());
        Ok(Self(made))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a folder in it, which is not made yet. Its name, which decides on its place, is another one each time.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let own = self.0.path();
        let random = own.file_name().unwrap_or_default().display();
        own.join(format!("{name}-{random}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_new_names_and_go() {
        let outer = tempfile::tempdir().unwrap();
        let [one, other] = [(), ()].map(|()| StateDir::new(outer.path()).unwrap());
        let folder = one.folder("disk");
        assert_ne!(folder.file_name(), other.folder("disk").file_name());
        std::fs::create_dir(&folder).unwrap();
        drop((one, other));
        assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 0);
    }
}
