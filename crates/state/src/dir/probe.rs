//! Checks, without writing, that a directory can be written to.
//!
//! Each check stands for a function of `write`, and fails with the same error.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{SFlag, fstatat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{AccessFlags, faccessat};

use super::{ASIDE, Dir, FILE_MODE, is_regular};
use crate::read::kind;
use crate::{Action, StateError};

impl Dir {
    /// Checks that a missing directory and its parents can be created.
    ///
    /// # Errors
    /// [`StateError::Io`], as [`Dir::create`].
    pub fn probe(path: &Path) -> Result<(), StateError> {
        Self::probe_for(path, 0)
    }

    /// As [`Dir::probe`], for a directory in which a file of this many bytes will be created.
    ///
    /// # Errors
    /// As [`Dir::probe`] and [`Dir::check_space`].
    pub fn probe_for(path: &Path, space: u64) -> Result<(), StateError> {
        for ancestor in path.ancestors() {
            let ancestor = match ancestor.as_os_str().is_empty() {
                true => Path::new("."),
                false => ancestor,
            };
            if let Some(existing) = Self::open(ancestor)? {
                existing.check_writable()?;
                existing.check_room()?;
                return existing.check_space(space);
            }
            // A dangling link.
            if fs::symlink_metadata(ancestor).is_ok() {
                return Err(StateError::io(Action::Create, path, Errno::EEXIST));
            }
        }
        Err(StateError::io(Action::Open, path, Errno::ENOENT))
    }

    /// Checks that a directory that is missing in this one can be created.
    ///
    /// # Errors
    /// [`StateError::Io`], as [`Dir::create_linked_child`].
    pub fn check_child(&self, name: &str) -> Result<(), StateError> {
        let path = || self.path.join(name);
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(StateError::io(Action::Create, path(), error)),
            // A dangling link.
            Ok(_) => return Err(StateError::io(Action::Open, path(), Errno::ENOENT)),
        }
        self.check_writable()?;
        self.check_room()
    }

    /// Checks that files can be created in the directory.
    ///
    /// # Errors
    /// As [`WriteGuard::create`](crate::WriteGuard::create).
    pub fn check_create(&self) -> Result<(), StateError> {
        self.check_writable()?;
        self.check_remove(ASIDE)?;
        self.check_room()
    }

    /// Checks that a file can replace whatever has this name in the directory.
    ///
    /// # Errors
    /// As [`WriteGuard::replace`](crate::WriteGuard::replace).
    pub fn check_replace(&self, name: &str) -> Result<(), StateError> {
        self.check_unlink(name, Action::Write)
    }

    /// Checks that a file with this name in the directory could be removed.
    ///
    /// # Errors
    /// As [`WriteGuard::remove`](crate::WriteGuard::remove).
    pub fn check_remove(&self, name: &str) -> Result<(), StateError> {
        self.check_unlink(name, Action::Remove)
    }

    fn check_unlink(&self, name: &str, action: Action) -> Result<(), StateError> {
        let Ok(stat) = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
            return Ok(());
        };
        let path = || self.path.join(name);
        if kind(&stat) == SFlag::S_IFDIR {
            return Err(StateError::NotAFile(path()));
        }
        // An immutable file, which nobody may replace either.
        match faccessat(&self.fd, name, AccessFlags::W_OK, AtFlags::AT_EACCESS) {
            Err(Errno::EPERM) if is_regular(&stat) => {
                Err(StateError::io(action, path(), Errno::EPERM))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the file system has room for a file of this many bytes.
    ///
    /// # Errors
    /// [`StateError::Io`] with "No space left on device" if the file system reports less room.
    pub fn check_space(&self, bytes: u64) -> Result<(), StateError> {
        let is_short = fstatvfs(&self.fd).is_ok_and(|fs| {
            let free = wide(fs.blocks_free()).saturating_mul(wide(fs.fragment_size()));
            fs.blocks() > 0 && free < bytes
        });
        match is_short {
            true => Err(StateError::io(Action::Write, &self.path, Errno::ENOSPC)),
            false => Ok(()),
        }
    }

    fn check_writable(&self) -> Result<(), StateError> {
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.fd, ".", access, AtFlags::AT_EACCESS)
            .map_err(|error| StateError::io(Action::Write, &self.path, error))
    }

    /// Checks that the file system has room for a small file. A file system that keeps small files
    /// in their inodes may have room even if it reports none, so a file without a name is tried.
    fn check_room(&self) -> Result<(), StateError> {
        let full = fstatvfs(&self.fd).is_ok_and(|fs| {
            let blocks = fs.blocks() > 0 && fs.blocks_free() == 0;
            blocks || fs.files() > 0 && fs.files_free() == 0
        });
        if !full {
            return Ok(());
        }
        let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let written = match openat(&self.fd, ".", flags, FILE_MODE) {
            Ok(file) => File::from(file).write_all(&[0; 64]),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR) => Err(Errno::ENOSPC.into()),
            Err(error) => Err(error.into()),
        };
        written.map_err(|error| StateError::io(Action::Write, &self.path, error))
    }
}

/// A number of the C library, which has 32 bits on some platforms and 64 on others.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}
