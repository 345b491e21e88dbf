//! The machine's disk, and what a power cut leaves of it.

mod write_log;

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fastrand::Rng;
use xtask::command::output;

use write_log::Entry;

const SECTOR: usize = 512;

/// What a disk writes whole or not at all.
const PHYSICAL_SECTOR: usize = 4096;

/// What a disk loses when the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing: all writes are on it.
    Nothing,
    /// What was written but not flushed.
    Cache,
    /// The same, as if the power had been cut somewhat earlier, when some flush was just about to
    /// be done.
    CacheBeforeFlush,
}

/// A disk with a cache: a write is certain only after a flush.
pub(super) struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// A disk whose files are in a directory, with an empty file system.
    pub(super) fn new(dir: &Path, random: &mut Rng) -> Result<Self> {
        let disk = Self {
            dir: dir.to_owned(),
        };
        disk.make_file_system(random)?;
        Ok(disk)
    }

    /// Puts an empty file system in the place of what is on it.
    pub(super) fn make_file_system(&self, random: &mut Rng) -> Result<()> {
        let block = if random.bool() { "1024" } else { "4096" };
        // The kernel would do the rest of it later by commands that qemu's log gets wrong.
        let options = "lazy_itable_init=0,lazy_journal_init=0";
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F", "-b", block, "-E", options])
            .arg(self.image())
            .arg("64M");
        output(&mut mkfs).context("cannot make a file system (Debian package e2fsprogs)")?;
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

    /// How much has been logged since it was plugged in, in bytes.
    pub(super) fn logged(&self) -> Result<usize> {
        let log = fs::metadata(self.log()).context("cannot look at the disk's log")?;
        Ok(usize::try_from(log.len())?)
    }

    /// Loses something, but nothing of the first so many bytes of the log; and returns what, as
    /// that may not be possible.
    pub(super) fn lose(&self, loss: Loss, kept: usize, random: &mut Rng) -> Result<Loss> {
        let log = fs::read(self.log()).context("cannot read the disk's log")?;
        let Some(entries) = write_log::parse(&log)?.filter(|_| loss != Loss::Nothing) else {
            return Ok(Loss::Nothing);
        };
        let is_flush = |number: &usize| entries.get(*number) == Some(&Entry::Flush);
        let kept = write_log::parse(log.get(..kept).unwrap_or(&log))?;
        let kept = kept.map_or(entries.len(), |kept| kept.len());
        let later: Vec<usize> = (kept..entries.len()).filter(is_flush).collect();
        let later_flush = random.choice(later);
        let (end, lost) = match later_flush.filter(|_| loss == Loss::CacheBeforeFlush) {
            Some(flush) => (flush, Loss::CacheBeforeFlush),
            None => (entries.len(), Loss::Cache),
        };
        let certain = (0..end).rfind(is_flush).unwrap_or_default();
        fs::copy(self.before(), self.image()).context("cannot copy the disk")?;
        let image = File::options().write(true).open(self.image())?;
        let torn = random.bool();
        for (number, entry) in entries.iter().enumerate().take(end) {
            let Entry::Write { mut offset, data } = *entry else {
                continue;
            };
            let first = if torn {
                up_to_boundary(offset)
            } else {
                data.len()
            };
            let (first, rest) = data.split_at(first.min(data.len()));
            for piece in [first].into_iter().chain(rest.chunks(PHYSICAL_SECTOR)) {
                if number < certain || random.bool() {
                    image.write_all_at(piece, offset)?;
                }
                offset += piece.len() as u64;
            }
        }
        Ok(lost)
    }

    fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    /// As it was when the machine was switched on.
    fn before(&self) -> PathBuf {
        self.dir.join("before")
    }

    /// What was written since.
    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

/// How many bytes there are from an offset to the next physical sector.
fn up_to_boundary(offset: u64) -> usize {
    let in_sector = usize::try_from(offset % PHYSICAL_SECTOR as u64).unwrap_or_default();
    PHYSICAL_SECTOR - in_sector
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing is lost",
            Self::Cache => "the disk's cache is lost",
            Self::CacheBeforeFlush => "the disk's cache is lost before a flush",
        })
    }
}
