//! A directory with the files of a package, as they are to be installed: their modes and times do
//! not depend on who makes it, and when.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::command;

/// The mode of programs, and of directories.
pub(crate) const PROGRAM: u32 = 0o755;

/// The mode of what is only read.
pub(crate) const PAGE: u32 = 0o644;

pub(crate) struct Stage {
    dir: TempDir,
    time: SystemTime,
}

impl Stage {
    /// An empty one, for files of this time in seconds since 1970.
    pub(crate) fn new(time: u64) -> Result<Self> {
        Ok(Self {
            dir: TempDir::with_prefix("twill-packaging-")?,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(time),
        })
    }

    /// The directory, with all modes and times in it set.
    pub(crate) fn finish(&self) -> Result<&Path> {
        self.settle(self.dir.path())?;
        Ok(self.dir.path())
    }

    pub(crate) fn write(&self, path: &str, mode: u32, contents: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(path)?;
        let written = fs::write(&path, contents)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn copy(&self, path: &str, mode: u32, from: &Path) -> Result<()> {
        let contents = fs::read(from);
        let contents = contents.with_context(|| format!("cannot read {}", from.display()))?;
        self.write(path, mode, contents)
    }

    /// Writes a compressed page, as `<path>.gz`.
    pub(crate) fn compress(&self, path: &str, contents: impl AsRef<[u8]>) -> Result<()> {
        self.write(path, PAGE, contents)?;
        gzip(&self.path(path)?)
    }

    /// The path of a file in it, whose directory exists then.
    fn path(&self, path: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(path);
        let parent = path.parent().context("a file is in a directory")?;
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        Ok(path)
    }

    fn settle(&self, path: &Path) -> Result<()> {
        let failed = || format!("cannot set the time of {}", path.display());
        if path.is_dir() {
            for entry in fs::read_dir(path).with_context(failed)? {
                self.settle(&entry.with_context(failed)?.path())?;
            }
            fs::set_permissions(path, Permissions::from_mode(PROGRAM)).with_context(failed)?;
        }
        let times = FileTimes::new()
            .set_accessed(self.time)
            .set_modified(self.time);
        let file = File::open(path).with_context(failed)?;
        file.set_times(times).with_context(failed)
    }
}

/// Replaces a file by a compressed one.
pub(crate) fn gzip(path: &Path) -> Result<()> {
    let mut gzip = Command::new("gzip");
    gzip.args(["--no-name", "--best", "--force"]).arg(path);
    command::output(&mut gzip).map(drop)
}
