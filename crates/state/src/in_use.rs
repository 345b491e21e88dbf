//! Marks on what is in use, which child processes inherit.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::lock::Pauses;
use crate::{Action, StateError};

/// A mark on something in a directory that is in use, once [`InUse::mark`] has set it. The mark is
/// a lock on one byte of the directory itself, that of the key (fcntl(2), open file description
/// locks). The kernel takes it away with the last process that has the descriptor, which children
/// may inherit; so the mark outlives a killed process for as long as anything does that the process
/// has started.
///
/// Dropped, the mark stays with these children. Whoever knows that they are done, whatever of them
/// still runs, removes it for all of them with [`InUse::release`].
#[derive(Debug)]
#[must_use = "the mark is gone when this is dropped"]
pub struct InUse {
    directory: OwnedFd,
    path: PathBuf,
    key: u64,
}

impl AsFd for InUse {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl InUse {
    pub(crate) fn new(directory: OwnedFd, path: &Path, key: u64) -> Self {
        Self {
            directory,
            path: path.to_owned(),
            key,
        }
    }

    /// Marks the key, whoever else has marked it. Processes that have inherited the descriptor
    /// before have the mark as well.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn mark(&self) -> Result<(), StateError> {
        // Marks are shared locks and nobody ever takes another, so this does not fail for others.
        self.set(libc::F_RDLCK)
    }

    /// Whether somebody else has the key marked.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn is_marked_by_others(&self) -> Result<bool, StateError> {
        is_marked(&self.directory, &self.path, self.key)
    }

    /// Removes the mark, also from the processes that have inherited the descriptor: they share one
    /// open file description, and the lock is that one's.
    ///
    /// # Errors
    /// If the kernel refuses it; the mark then stays for as long as any of these processes.
    pub fn release(self) -> Result<(), StateError> {
        self.set(libc::F_UNLCK)
    }

    fn set(&self, kind: libc::c_int) -> Result<(), StateError> {
        fcntl(&self.directory, FcntlArg::F_OFD_SETLK(&at(self.key, kind)))
            .map(drop)
            .map_err(|error| StateError::io(Action::Lock, &self.path, error))
    }

    /// Waits until nobody marks a key.
    pub(crate) fn wait(
        directory: &OwnedFd,
        path: &Path,
        key: u64,
        timeout: Duration,
    ) -> Result<(), StateError> {
        let give_up = Instant::now() + timeout;
        let mut pauses = Pauses::default();
        loop {
            if !is_marked(directory, path, key)? {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(StateError::Locked {
                    path: path.to_owned(),
                    moves_on: false,
                    holder: None,
                    timeout,
                });
            }
            sleep(pauses.next());
        }
    }
}

/// Whether a key is marked through another open file than this one.
fn is_marked(directory: &OwnedFd, path: &Path, key: u64) -> Result<bool, StateError> {
    let mut lock = at(key, libc::F_WRLCK);
    fcntl(directory, FcntlArg::F_OFD_GETLK(&mut lock))
        .map_err(|error| StateError::io(Action::Lock, path, error))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// A lock on the byte of a key. Offsets are not negative, so two keys share one.
fn at(key: u64, kind: libc::c_int) -> libc::flock {
    libc::flock {
        // These constants are of different types on different platforms, but always small.
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: key as libc::off_t & libc::off_t::MAX,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::Dir;

    const MOMENT: Duration = Duration::from_millis(20);

    fn marked(dir: &Dir, key: u64) -> InUse {
        let mark = dir.in_use(key).unwrap();
        mark.mark().unwrap();
        mark
    }

    #[test]
    fn a_mark_of_ones_own_is_not_others() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::create(directory.path(), 0o700).unwrap();
        let (own, other) = (dir.in_use(1).unwrap(), dir.in_use(1).unwrap());
        // The descriptor is inherited first, and marked later.
        let mut heir = heir(&own);
        own.mark().unwrap();
        assert!(!own.is_marked_by_others().unwrap());
        assert!(other.is_marked_by_others().unwrap());
        drop(own);
        assert!(other.is_marked_by_others().unwrap());
        heir.kill().unwrap();
        heir.wait().unwrap();
        assert!(!other.is_marked_by_others().unwrap());
    }

    #[test]
    fn a_mark_is_one_keys() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::create(directory.path(), 0o700).unwrap();
        dir.wait_until_unused(7, MOMENT).unwrap();
        let marks = [marked(&dir, 70), marked(&dir, 70)];
        for mark in marks {
            dir.wait_until_unused(7, MOMENT).unwrap();
            let error = dir.wait_until_unused(70, MOMENT).unwrap_err();
            let shown = directory.path().display();
            assert_eq!(
                error.to_string(),
                format!("{shown} is locked for more than 0.02 s: wait for it or end it")
            );
            drop(mark);
        }
        dir.wait_until_unused(70, MOMENT).unwrap();
        drop(marked(&dir, u64::MAX));
        dir.wait_until_unused(u64::MAX, MOMENT).unwrap();
    }

    /// A process that has inherited a mark.
    fn heir(mark: &InUse) -> Child {
        let file = mark.as_fd().try_clone_to_owned().unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("60").stdin(Stdio::from(file)).spawn().unwrap()
    }

    #[test]
    fn a_mark_is_kept_by_whoever_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::create(directory.path(), 0o700).unwrap();
        let mark = marked(&dir, 1);
        let mut heir = heir(&mark);
        drop(mark);
        dir.wait_until_unused(1, MOMENT).unwrap_err();
        heir.kill().unwrap();
        heir.wait().unwrap();
        dir.wait_until_unused(1, MOMENT).unwrap();
    }

    #[test]
    fn a_released_mark_is_gone_whoever_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::create(directory.path(), 0o700).unwrap();
        let (mark, other) = (marked(&dir, 1), marked(&dir, 2));
        let mut heir = heir(&mark);
        mark.release().unwrap();
        dir.wait_until_unused(1, MOMENT).unwrap();
        // It is one's own mark only, of one key and of one open file.
        dir.wait_until_unused(2, MOMENT).unwrap_err();
        marked(&dir, 2).release().unwrap();
        dir.wait_until_unused(2, MOMENT).unwrap_err();
        other.release().unwrap();
        dir.wait_until_unused(2, MOMENT).unwrap();
        heir.kill().unwrap();
        heir.wait().unwrap();
    }
}
