//! The machine's disk, and what a power cut leaves of it.

mod write_log;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use write_log::Entry;

/// A disk with a cache: what it was told to write is for certain on it only after a flush.
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// A disk whose files are in a folder, with an empty file system.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let disk = Self {
            folder: folder.to_owned(),
        };
        disk.make_file_system()?;
        Ok(disk)
    }

    /// Puts an empty file system in the place of what is on it.
    pub(super) fn make_file_system(&self) -> Result<()> {
        let output = Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(self.image())
            .arg("64M")
            .output()
            .context("cannot run `mkfs.ext4` (Debian package e2fsprogs)")?;
        ensure!(
            output.status.success(),
            "`mkfs.ext4` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Gets ready for a boot, and gives the disk as qemu's `-drive` has it.
    pub(super) fn plug(&self) -> Result<String> {
        fs::copy(self.image(), self.before()).context("cannot copy the disk")?;
        File::create(self.log()).context("cannot make the disk's log")?;
        // A comma in a value is written twice.
        let value = |path: PathBuf| path.display().to_string().replace(',', ",,");
        Ok(format!(
            "driver=blklogwrites,file.driver=file,file.filename={},log.driver=file,log.filename={}",
            value(self.image()),
            value(self.log())
        ))
    }

    /// Loses what was in the cache when the power was cut, each write or not as chance has it; false if that cannot be told,
    /// and nothing is lost.
    pub(super) fn lose_cache(&self, random: &mut Rng) -> Result<bool> {
        let log = fs::read(self.log()).context("cannot read the disk's log")?;
        let Some(entries) = write_log::parse(&log)? else {
            return Ok(false);
        };
        let is_flush = |entry: &Entry<'_>| matches!(entry, Entry::Flush);
        let certain = entries.iter().rposition(is_flush).unwrap_or(0);
        fs::copy(self.before(), self.image()).context("cannot copy the disk")?;
        let image = File::options().write(true).open(self.image())?;
        for (number, entry) in entries.iter().enumerate() {
            if let Entry::Write { offset, data } = entry
                && (number < certain || random.bool())
            {
                image.write_all_at(data, *offset)?;
            }
        }
        Ok(true)
    }

    fn image(&self) -> PathBuf {
        self.file("image")
    }

    /// As it was when the machine was switched on.
    fn before(&self) -> PathBuf {
        self.file("before")
    }

    /// What was written since.
    fn log(&self) -> PathBuf {
        self.file("log")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
