//! Writing in a directory, under its [`WriteGuard`].

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{UtimensatFlags, fstatat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};

use super::{ASIDE, Dir, FILE_MODE, WriteGuard};
use crate::{Action, DirStamp, Stamp, StateError};

impl WriteGuard<'_> {
    /// The directory.
    pub fn dir(&self) -> &Dir {
        self.dir
    }

    /// Creates a file with these contents and, if `stamp` is given, this modification time; on a
    /// file system that cannot set times, the file keeps its own. Returns false if the name is
    /// taken.
    ///
    /// # Errors
    /// [`StateError::Io`] if the file cannot be written or linked to its name.
    pub fn create(
        &self,
        name: &str,
        contents: &[u8],
        stamp: Option<Stamp>,
    ) -> Result<bool, StateError> {
        let dir = self.dir;
        self.write_aside(name, stamp, |file| file.write_all(contents))?;
        let placed = self.place(ASIDE, name);
        // The outcome does not depend on this: the next writer removes the file, as after a kill.
        let _ = self.remove(ASIDE);
        placed.map_err(|error| StateError::io(Action::Create, dir.path.join(name), error))
    }

    /// Gives a file another name, beside its own or, on a file system without hard links, such as
    /// FAT, instead of it. Returns false if the name is taken.
    fn place(&self, from: &str, to: &str) -> nix::Result<bool> {
        let dir = self.dir;
        match linkat(&dir.fd, from, &dir.fd, to, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            // Every writer holds the lock, so nobody takes the name meanwhile.
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                match fstatat(&dir.fd, to, AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Ok(_) => Ok(false),
                    Err(Errno::ENOENT) => renameat(&dir.fd, from, &dir.fd, to).map(|()| true),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Creates a file with these contents, or replaces the one that has the name.
    ///
    /// # Errors
    /// [`StateError::NotAFile`] if a directory has the name; [`StateError::Io`].
    pub fn replace(&self, name: &str, contents: &[u8]) -> Result<(), StateError> {
        self.replace_with(name, |file| file.write_all(contents))
    }

    /// As [`WriteGuard::replace`], for a small file that nothing depends on. A file that has as
    /// many bytes already is overwritten in place, which spares the file system a new inode. A kill
    /// cannot interrupt one write of a few bytes, but a power cut may leave the old contents, the
    /// new ones or a mixture.
    ///
    /// # Errors
    /// As [`WriteGuard::replace`].
    pub fn update(&self, name: &str, contents: &[u8]) -> Result<(), StateError> {
        let dir = self.dir;
        if let Ok(Some((file, stat))) = dir.open_file(name, OFlag::O_WRONLY)
            && stat.st_nlink == 1
            && u64::try_from(stat.st_size) == Ok(contents.len() as u64)
        {
            return file
                .write_all_at(contents, 0)
                .map_err(|error| StateError::io(Action::Write, dir.path.join(name), error));
        }
        self.replace(name, contents)
    }

    /// As [`WriteGuard::replace`], with the contents that `write` writes.
    ///
    /// # Errors
    /// As [`WriteGuard::replace`]; an error of `write` is a [`StateError::Io`].
    pub fn replace_with(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), StateError> {
        let dir = self.dir;
        self.write_aside(name, None, write)?;
        renameat(&dir.fd, ASIDE, &dir.fd, name).map_err(|error| {
            let _ = self.remove(ASIDE);
            match error {
                Errno::EISDIR => StateError::NotAFile(dir.path.join(name)),
                error => StateError::io(Action::Write, dir.path.join(name), error),
            }
        })
    }

    /// Renames a file. Returns false if the new name is taken. A power cut does not revert the
    /// renaming once this returns.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn rename_durably(&self, from: &str, to: &str) -> Result<bool, StateError> {
        let dir = self.dir;
        let placed = self.place(from, to).and_then(|is_placed| {
            if is_placed {
                // Without hard links, the name is gone already.
                let _ = unlinkat(&dir.fd, from, UnlinkatFlags::NoRemoveDir);
                fsync(&dir.fd)?;
            }
            Ok(is_placed)
        });
        placed.map_err(|error| StateError::io(Action::Write, dir.path.join(to), error))
    }

    /// Sets a file's modification time.
    ///
    /// # Errors
    /// [`StateError::Io`], as where only the file's owner may set its time.
    pub fn set_stamp_of(&self, name: &str, stamp: Stamp) -> Result<(), StateError> {
        let dir = self.dir;
        let flags = UtimensatFlags::NoFollowSymlink;
        utimensat(&dir.fd, name, &TimeSpec::UTIME_OMIT, &stamp.into(), flags)
            .map_err(|error| StateError::io(Action::Write, dir.path.join(name), error))
    }

    /// Sets the directory's modification time, and returns the directory's times as they are
    /// afterwards: some file systems round.
    ///
    /// # Errors
    /// [`StateError::Io`], as where only the directory's owner may set its time.
    pub fn set_stamp(&self, stamp: Stamp) -> Result<DirStamp, StateError> {
        let dir = self.dir;
        futimens(&dir.fd, &TimeSpec::UTIME_OMIT, &stamp.into())
            .map_err(|error| StateError::io(Action::Write, &dir.path, error))?;
        dir.stamp()
    }

    /// Removes a file, and returns whether there was one.
    ///
    /// # Errors
    /// [`StateError::NotAFile`] if a directory has the name; [`StateError::Io`].
    pub fn remove(&self, name: &str) -> Result<bool, StateError> {
        match unlinkat(&self.dir.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => Ok(false),
            Err(Errno::EISDIR) => Err(StateError::NotAFile(self.dir.path.join(name))),
            Err(error) => Err(StateError::io(
                Action::Remove,
                self.dir.path.join(name),
                error,
            )),
        }
    }

    /// Removes an empty directory, and returns whether there was one.
    ///
    /// # Errors
    /// [`StateError::Io`], as where the directory is not empty.
    pub fn remove_child(&self, name: &str) -> Result<bool, StateError> {
        match unlinkat(&self.dir.fd, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => Ok(false),
            Err(error) => Err(StateError::io(
                Action::Remove,
                self.dir.path.join(name),
                error,
            )),
        }
    }

    /// Writes the file that is to get `name` under a temporary name. Leaves nothing after an error.
    fn write_aside(
        &self,
        name: &str,
        stamp: Option<Stamp>,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), StateError> {
        let dir = self.dir;
        let failed = |error: io::Error| StateError::io(Action::Write, dir.path.join(name), error);
        // O_EXCL, because a file that a kill left may already be linked to its name: it must be
        // unlinked, not overwritten.
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let open = || openat(&dir.fd, ASIDE, flags, FILE_MODE);
        let file = match open() {
            Err(Errno::EEXIST) => {
                self.remove(ASIDE)?;
                open()
            }
            opened => opened,
        };
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        let written = write(&mut file).and_then(|()| match stamp {
            Some(stamp) => match futimens(&file, &TimeSpec::UTIME_OMIT, &stamp.into()) {
                Ok(()) | Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
                Err(error) => Err(error.into()),
            },
            None => Ok(()),
        });
        written.map_err(|error| {
            let _ = self.remove(ASIDE);
            failed(error)
        })
    }
}
