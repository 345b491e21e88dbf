//! An open directory that holds state.

mod locks;
mod probe;
mod write;

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, mkdirat};

use self::locks::Locks;
use crate::read::{NEVER_WAIT, is_regular, read_start};
use crate::{Action, DirStamp, InUse, Stamp, StateError};

/// The temporary name of the file that is being written. No network, address, container or lock can
/// have the name, because of its dot.
const ASIDE: &str = ".new";

/// The mode of every file: only root needs to know who owns an address.
const FILE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// The most that is read of a file, in bytes. State files have a few hundred.
const MAX_FILE: usize = 16 << 20;

/// An open directory that holds state.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampedFile {
    /// Its contents.
    pub contents: Vec<u8>,
    /// Its modification time.
    pub stamp: Stamp,
    /// Its change time: when it got its name or its modification time.
    pub changed: Stamp,
}

/// The right to change a directory's files, which comes from holding its lock.
#[derive(Debug)]
pub struct WriteGuard<'a> {
    dir: &'a Dir,
    locks: Locks,
}

const DIRECTORY_FLAGS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

impl Dir {
    /// Opens a directory that an operator named; `None` if it does not exist. Symbolic links are
    /// followed.
    ///
    /// # Errors
    /// [`StateError::Io`] if the kernel refuses to open it, as where it is a file.
    pub fn open(path: &Path) -> Result<Option<Self>, StateError> {
        match openat(AT_FDCWD, path, DIRECTORY_FLAGS, Mode::empty()) {
            Ok(fd) => Ok(Some(Self {
                fd,
                path: path.to_owned(),
            })),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(StateError::io(Action::Open, path, error)),
        }
    }

    /// As [`Dir::open`], but creates the directory and its parents with this mode if they are
    /// missing.
    ///
    /// # Errors
    /// [`StateError::Io`] if a directory can be neither opened nor created.
    pub fn create(path: &Path, mode: u32) -> Result<Self, StateError> {
        if let Some(dir) = Self::open(path)? {
            return Ok(dir);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
            .map_err(|error| StateError::io(Action::Create, path, error))?;
        Self::open(path)?.ok_or_else(|| StateError::io(Action::Open, path, Errno::ENOENT))
    }

    /// Opens a directory in this one; `None` if it does not exist. A symbolic link is not followed.
    ///
    /// # Errors
    /// [`StateError::NotADirectory`] if something else has the name; [`StateError::Io`].
    pub fn open_child(&self, name: &str) -> Result<Option<Self>, StateError> {
        self.open_below(name, OFlag::O_NOFOLLOW)
    }

    /// As [`Dir::open_child`], for a directory that an operator may have moved: a symbolic link to
    /// it is followed.
    ///
    /// # Errors
    /// As [`Dir::open_child`].
    pub fn open_linked_child(&self, name: &str) -> Result<Option<Self>, StateError> {
        self.open_below(name, OFlag::empty())
    }

    /// As [`Dir::open_child`], but creates the directory with this mode if it is missing.
    ///
    /// # Errors
    /// As [`Dir::open_child`]; [`StateError::Io`] if the directory cannot be created.
    pub fn create_child(&self, name: &str, mode: u32) -> Result<Self, StateError> {
        self.create_below(name, OFlag::O_NOFOLLOW, mode)
    }

    /// As [`Dir::open_linked_child`], but creates the directory with this mode if it is missing.
    ///
    /// # Errors
    /// As [`Dir::create_child`]; [`StateError::Io`] also for a dangling symbolic link.
    pub fn create_linked_child(&self, name: &str, mode: u32) -> Result<Self, StateError> {
        self.create_below(name, OFlag::empty(), mode)
    }

    fn open_below(&self, name: &str, links: OFlag) -> Result<Option<Self>, StateError> {
        let path = self.path.join(name);
        match openat(&self.fd, name, DIRECTORY_FLAGS | links, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path })),
            // Nothing has a name that is too long for the file system.
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => Ok(None),
            Err(Errno::ENOTDIR) => Err(StateError::NotADirectory(path)),
            Err(error) => Err(StateError::io(Action::Open, path, error)),
        }
    }

    fn create_below(&self, name: &str, links: OFlag, mode: u32) -> Result<Self, StateError> {
        if let Some(dir) = self.open_below(name, links)? {
            return Ok(dir);
        }
        let path = self.path.join(name);
        match mkdirat(&self.fd, name, Mode::from_bits_truncate(mode)) {
            // Another process may have created it meanwhile.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(StateError::io(Action::Create, path, error)),
        }
        self.open_below(name, links)?
            .ok_or_else(|| StateError::io(Action::Open, path, Errno::ENOENT))
    }

    /// The directory's path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `visit` with each name in the directory, in no order. There is no list of the names,
    /// which might be large.
    ///
    /// `visit` must not create, rename or remove files in the directory: whether these are then
    /// visited is undefined.
    ///
    /// # Errors
    /// [`StateError::Io`] if the directory cannot be listed; the error of `visit`.
    pub fn visit<E: From<StateError>>(
        &self,
        mut visit: impl FnMut(&OsStr) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| StateError::io(Action::List, &self.path, error);
        let mut listing =
            nix::dir::Dir::openat(&self.fd, ".", DIRECTORY_FLAGS, Mode::empty()).map_err(failed)?;
        for entry in listing.iter() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                visit(OsStr::from_bytes(name))?;
            }
        }
        Ok(())
    }

    /// Reads a file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`StateError::NotAFile`] if something else has the name; [`StateError::Io`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.read_stamped(name)?.map(|file| file.contents))
    }

    /// Reads a file and its modification time; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn read_stamped(&self, name: &str) -> Result<Option<StampedFile>, StateError> {
        let Some((file, stat)) = self.open_file(name, OFlag::O_RDONLY)? else {
            return Ok(None);
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let contents = read_start(file, size, MAX_FILE)
            .map_err(|error| StateError::io(Action::Read, self.path.join(name), error))?;
        Ok(Some(StampedFile {
            contents,
            stamp: Stamp::of(&stat),
            changed: Stamp::of_change(&stat),
        }))
    }

    /// Opens a file for reading and writing in place; `None` if it does not exist. Others can see
    /// such a file half written, so its reader has to check it.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn open_in_place(&self, name: &str) -> Result<Option<File>, StateError> {
        Ok(self.open_file(name, OFlag::O_RDWR)?.map(|(file, _)| file))
    }

    /// The directory's times, which change whenever a file is created, renamed or removed in it.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn stamp(&self) -> Result<DirStamp, StateError> {
        let stat =
            fstat(&self.fd).map_err(|error| StateError::io(Action::Read, &self.path, error))?;
        Ok(DirStamp::of(&stat))
    }

    fn open_file(&self, name: &str, access: OFlag) -> Result<Option<(File, FileStat)>, StateError> {
        let action = match access == OFlag::O_RDONLY {
            true => Action::Read,
            false => Action::Write,
        };
        let failed = |error| StateError::io(action, self.path.join(name), error);
        let flags = access | OFlag::O_NOFOLLOW | NEVER_WAIT;
        let file = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => return Ok(None),
            // A link, a directory, a socket and a device without a driver fail with an error each.
            Err(_) if self.has_other_than_a_file(name) => {
                return Err(StateError::NotAFile(self.path.join(name)));
            }
            Err(error) => return Err(failed(error)),
        };
        let stat = fstat(&file).map_err(failed)?;
        if !is_regular(&stat) {
            return Err(StateError::NotAFile(self.path.join(name)));
        }
        Ok(Some((file.into(), stat)))
    }

    /// Whether a file that was opened as `name` still has that name. Somebody may have removed or
    /// replaced the file.
    ///
    /// # Errors
    /// [`StateError::NotAFile`] if it is no regular file; [`StateError::Io`].
    pub fn has(&self, name: &str, file: impl AsFd) -> Result<bool, StateError> {
        let failed = |error| StateError::io(Action::Open, self.path.join(name), error);
        let opened = fstat(file).map_err(failed)?;
        if !is_regular(&opened) {
            return Err(StateError::NotAFile(self.path.join(name)));
        }
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether something has the name that is no regular file.
    fn has_other_than_a_file(&self, name: &str) -> bool {
        fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|stat| !is_regular(&stat))
    }

    /// The mark that a key is in use, not yet set. The caller chooses what a key stands for.
    ///
    /// # Errors
    /// [`StateError::Io`] if the directory cannot be opened once more.
    pub fn in_use(&self, key: u64) -> Result<InUse, StateError> {
        Ok(InUse::new(self.reopen()?, &self.path, key))
    }

    /// Waits until no process has the key marked as in use.
    ///
    /// # Errors
    /// [`StateError::Locked`] if a process still has it marked after `timeout`.
    pub fn wait_until_unused(&self, key: u64, timeout: Duration) -> Result<(), StateError> {
        InUse::wait(&self.fd, &self.path, key, timeout)
    }

    /// Another descriptor of the directory, whose locks are its own.
    fn reopen(&self) -> Result<OwnedFd, StateError> {
        openat(&self.fd, ".", DIRECTORY_FLAGS, Mode::empty())
            .map_err(|error| StateError::io(Action::Lock, &self.path, error))
    }
}

#[cfg(test)]
mod tests;
