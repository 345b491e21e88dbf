//! The locks of a directory's writers.
//!
//! A writer holds two locks: that of a file in the directory, which the Go plugins lock too, and
//! that of the directory itself. People remove a lock file, and the next process creates and locks
//! another one; nobody removes a directory without its contents. The file's lock is taken first,
//! because the Go plugins wait in its queue.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};

use super::{Dir, FILE_MODE, WriteGuard};
use crate::lock::{Limit, Lock};
use crate::read::NEVER_WAIT;
use crate::{Action, StateError};

/// The lock file of a directory that the file system cannot lock. No container, network or address
/// can have the name.
const STAND_IN: &str = ".lock";

/// The locks that a [`WriteGuard`] holds.
#[derive(Debug)]
pub(super) struct Locks {
    file: Option<Lock>,
    _directory: Option<Lock>,
}

impl Locks {
    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref().map(Lock::file)
    }
}

impl WriteGuard<'_> {
    /// The note at the start of the lock file that an earlier holder has left for the next one;
    /// `None` if the file is shorter.
    pub fn note<const LENGTH: usize>(&self) -> Option<[u8; LENGTH]> {
        let mut note = [0; LENGTH];
        self.locks.file()?.read_exact_at(&mut note, 0).ok()?;
        Some(note)
    }

    /// Writes a note to the lock file for the next holder. The note is lost if the file cannot be
    /// written.
    pub fn set_note(&self, note: &[u8]) {
        if let Some(file) = self.locks.file() {
            let _ = file.write_all_at(note, 0);
        }
    }
}

impl Dir {
    /// Locks the directory and the file `name` in it, which is created if it is missing and never
    /// removed.
    ///
    /// # Errors
    /// [`StateError::Locked`] if others hold a lock until the timeout; [`StateError::NotAFile`] if
    /// something else has the name; [`StateError::Io`].
    pub fn lock(&self, name: &str, timeout: Duration) -> Result<WriteGuard<'_>, StateError> {
        let limit = Limit::new(timeout);
        loop {
            let path = self.path.join(name);
            let file = Lock::acquire(self.open_lock_file(name)?, &path, limit)?;
            let directory = self.lock_directory(limit)?;
            // Somebody may have removed the file during the wait. Others would then lock a new one.
            if self.has(name, file.file())? {
                return Ok(self.guard(Some(file), directory));
            }
        }
    }

    /// Locks the directory itself, or a file in it on a file system that cannot lock directories.
    ///
    /// # Errors
    /// [`StateError::Locked`] if others hold the lock until the timeout; [`StateError::Io`].
    pub fn lock_whole(&self, timeout: Duration) -> Result<WriteGuard<'_>, StateError> {
        match self.lock_directory(Limit::new(timeout))? {
            Some(directory) => Ok(self.guard(None, Some(directory))),
            None => self.lock(STAND_IN, timeout),
        }
    }

    /// Locks the directory itself after [`Dir::lock`] has failed with `error`, which means that
    /// nobody can lock the file.
    ///
    /// # Errors
    /// `error` if it is [`StateError::Locked`], or if the directory cannot be locked either;
    /// [`StateError::Locked`] if others hold the directory's lock until the timeout.
    pub fn lock_without_file(
        &self,
        error: StateError,
        timeout: Duration,
    ) -> Result<WriteGuard<'_>, StateError> {
        if matches!(error, StateError::Locked { .. }) {
            return Err(error);
        }
        self.lock_whole(timeout).map_err(|second| match second {
            StateError::Locked { .. } => second,
            _ => error,
        })
    }

    /// Checks that no other kind of file has the name of the lock file.
    ///
    /// # Errors
    /// [`StateError::NotAFile`], as [`Dir::lock`].
    pub fn check_lock(&self, name: &str) -> Result<(), StateError> {
        if self.has_other_than_a_file(name) {
            return Err(StateError::NotAFile(self.path.join(name)));
        }
        Ok(())
    }

    fn guard(&self, file: Option<Lock>, directory: Option<Lock>) -> WriteGuard<'_> {
        WriteGuard {
            dir: self,
            locks: Locks {
                file,
                _directory: directory,
            },
        }
    }

    fn lock_directory(&self, limit: Limit) -> Result<Option<Lock>, StateError> {
        Lock::acquire_if_supported(self.reopen()?.into(), &self.path, limit)
    }

    /// Opens the lock file for writing, because NFS locks no other; or for reading where writing is
    /// not allowed, as on a read-only mount.
    fn open_lock_file(&self, name: &str) -> Result<File, StateError> {
        let flags = OFlag::O_NOFOLLOW | NEVER_WAIT;
        let open = |access| openat(&self.fd, name, access | flags, FILE_MODE);
        let opened = match open(OFlag::O_RDWR | OFlag::O_CREAT) {
            Err(refused @ (Errno::EROFS | Errno::EACCES | Errno::EPERM)) => {
                match open(OFlag::O_RDONLY) {
                    // There is none, and the kernel refused to create it.
                    Err(Errno::ENOENT) => Err(refused),
                    opened => opened,
                }
            }
            opened => opened,
        };
        match opened {
            Ok(file) => Ok(file.into()),
            Err(_) if self.has_other_than_a_file(name) => {
                Err(StateError::NotAFile(self.path.join(name)))
            }
            Err(error) => Err(StateError::io(Action::Lock, self.path.join(name), error)),
        }
    }
}
