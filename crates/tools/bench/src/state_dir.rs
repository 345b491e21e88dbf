//! The directory in which plugins keep their state while they are measured.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

const NAME: &str = "twill-bench-state";

/// A directory that is removed with this value.
///
/// When ext4 without a journal creates a file, it passes over each inode nearby that was freed in
/// the last minutes. After many files were removed, such as those of the previous run, that takes
/// a millisecond per new file. Therefore the directories in this one are spread over the disk by
/// the attribute `T` of chattr(1), where the file system has it.
#[derive(Debug)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    /// Creates the directory in another one, instead of what an interrupted run has left.
    pub(crate) fn new(inside: &Path) -> Result<Self> {
        let dir = inside.join(NAME);
        drop(fs::remove_dir_all(&dir));
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let mut chattr = Command::new("chattr");
        chattr
            .arg("+T")
            .arg(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Other file systems do not know the attribute, and do not need it.
        drop(chattr.status());
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a directory in this one, which is not created yet. The name determines its
    /// place on the disk, and differs from run to run.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}-{}", std::process::id()))
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The names of the files that an attachment has in a directory: addresses and container IDs.
/// Others, such as locks and indexes, are the plugins' own. A missing directory has none.
pub(crate) fn held(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_id = |name: &str| name.len() == 64 && name.chars().all(|it| it.is_ascii_hexdigit());
    names
        .filter(|name| is_id(name) || name.parse::<IpAddr>().is_ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attachments_files_count() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::new(outer.path()).unwrap();
        let id = crate::call::container_id("a", 1);
        for name in [
            "10.0.0.2",
            "lock",
            "last_reserved_ip.0",
            &id,
            &"x".repeat(64),
        ] {
            fs::write(state.path().join(name), "").unwrap();
        }
        let mut held = held(state.path());
        held.sort_unstable_by_key(String::len);
        assert_eq!(held, ["10.0.0.2", &id]);
        // What an interrupted run has left goes.
        let again = StateDir::new(outer.path()).unwrap();
        assert_eq!(fs::read_dir(again.path()).unwrap().count(), 0);
        drop((state, again));
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 0);
    }
}
