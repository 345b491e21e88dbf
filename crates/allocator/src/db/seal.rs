//! The seal of the database's file, which shows that nobody else has changed the file since.
//!
//! Each transaction that wrote to a correct file records its seal in the lock file. The seal
//! contains inode and change time, which nobody can give to another file or restore. If the seal
//! does not match, then somebody else has written the file, a process was killed while it wrote, or
//! the node has been rebooted, and the whole file is checked before it is used.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use state::{StateError, WriteGuard};

use super::FILE;
use super::keys::Boot;
use super::pages::PageFile;

/// Boot ID, device, inode, size, change time in seconds and nanoseconds, checksum of the header:
/// little-endian.
const LENGTH: usize = 64;

/// A file's seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal([u8; LENGTH]);

impl Seal {
    /// The seal that a file would have now; `None` in an unknown boot.
    fn of(file: &File, header: [u8; 8], boot: Boot) -> io::Result<Option<Self>> {
        let Some(boot) = boot.bytes() else {
            return Ok(None);
        };
        let metadata = file.metadata()?;
        let mut seal = boot.to_vec();
        for number in [
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.ctime().cast_unsigned(),
            metadata.ctime_nsec().cast_unsigned(),
        ] {
            seal.extend(number.to_le_bytes());
        }
        seal.extend(header);
        Ok(seal.try_into().ok().map(Self))
    }
}

/// The lock of the database's file, which records the seal before it is released.
pub(super) struct SealedLock<'a> {
    guard: WriteGuard<'a>,
    pages: PageFile,
    boot: Boot,
    intact: bool,
    right: bool,
}

impl<'a> SealedLock<'a> {
    pub(super) fn new(guard: WriteGuard<'a>, pages: PageFile, boot: Boot) -> io::Result<Self> {
        let mut lock = Self {
            guard,
            pages,
            boot,
            intact: false,
            right: false,
        };
        let noted = lock.guard.note().map(Seal);
        lock.intact = noted.is_some() && noted == lock.seal()?;
        Ok(lock)
    }

    /// Whether the seal matches the file.
    pub(super) fn is_intact(&self) -> bool {
        self.intact
    }

    /// Marks the file as correct. Without this mark, no seal is recorded.
    pub(super) fn set_right(&mut self) {
        self.right = true;
    }

    /// Whether the file is still the database. An operator may have removed or replaced it.
    pub(super) fn is_of_database(&self) -> Result<bool, StateError> {
        self.guard.dir().has(FILE, self.pages.file())
    }

    /// The lock.
    pub(super) fn guard(&self) -> &WriteGuard<'a> {
        &self.guard
    }

    fn seal(&self) -> io::Result<Option<Seal>> {
        Seal::of(self.pages.file(), self.pages.header_checksum()?, self.boot)
    }
}

impl Drop for SealedLock<'_> {
    fn drop(&mut self) {
        let changed = self.pages.is_changed() || !self.intact;
        if self.right
            && changed
            && !self.pages.has_failed()
            && let Ok(Some(Seal(seal))) = self.seal()
        {
            self.guard.set_note(&seal);
        }
    }
}
