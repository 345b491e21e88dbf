//! Where plugins keep their state while they are measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// What the names start with; the process's id follows.
const PREFIX: &str = "twill-bench-";

/// A folder that goes with this value.
///
/// ext4 without a journal, when it makes a file, looks at each inode near the folder that was freed in the last minutes, to pass over it. After the
/// removal of many files, such as a run's own at its end, that takes a millisecond for each file that the next run makes. So
/// the folders in this one are spread over the disk, by the attribute that chattr(1) calls `T`, where there is such a thing.
#[derive(Debug)]
pub(super) struct StateDir(TempDir);

impl StateDir {
    /// Makes one inside a folder, and removes what runs left there that were interrupted.
    pub(super) fn new(inside: &Path) -> Result<Self> {
        remove_leftovers(inside);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(inside);
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

/// How many files or folders in a folder have names of a kind.
pub(super) fn count(folder: &Path, is_of_kind: impl Fn(&str) -> bool) -> Result<u32> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut count = 0;
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        count += u32::from(name.to_str().is_some_and(&is_of_kind));
    }
    Ok(count)
}

/// Removes the folders of processes that are gone. One that cannot be removed is in nobody's way.
fn remove_leftovers(inside: &Path) {
    for entry in fs::read_dir(inside).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            drop(fs::remove_dir_all(entry.path()));
        }
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
        fs::create_dir(&folder).unwrap();
        drop((one, other));
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_an_interrupted_run_left_goes() {
        let outer = tempfile::tempdir().unwrap();
        // No process has an id that large.
        let names = ["4194305-a", "4194305", "1-a", "other"].map(|name| format!("{PREFIX}{name}"));
        for name in &names {
            fs::create_dir(outer.path().join(name)).unwrap();
        }
        remove_leftovers(outer.path());
        let left = names.map(|name| outer.path().join(name).exists());
        assert_eq!(left, [false, false, true, true]);
    }
}
