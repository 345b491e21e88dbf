//! Marks that something is in use, which child processes inherit.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::lock::Pauses;
use crate::{Action, StateError};

/// A mark that something in a directory is in use, once [`InUse::mark`] has set it. The mark is a
/// lock on one byte of the directory itself, the key's (fcntl(2), open file description locks).
/// Children may inherit the descriptor, and the kernel removes the mark when the last process that
/// has it ends. So the mark of a killed process stays while a process lives that it started.
///
/// Dropping this value leaves the mark to these children. [`InUse::release`] removes the mark for
/// all of them, even if they still run.
#[derive(Debug)]
#[must_use = "dropping this removes the mark, unless a child has inherited it"]
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

    /// Marks the key, even if others have marked it too. Processes that inherited the descriptor
    /// before have the mark as well.
    ///
    /// # Errors
    /// [`StateError::Io`] if the kernel refuses the lock.
    pub fn mark(&self) -> Result<(), StateError> {
        // All marks are shared locks, so those of others do not make this fail.
        self.set(libc::F_RDLCK)
    }

    /// Whether another process has the key marked.
    ///
    /// # Errors
    /// [`StateError::Io`] if the kernel does not report its locks.
    pub fn is_marked_by_others(&self) -> Result<bool, StateError> {
        is_marked(&self.directory, &self.path, self.key)
    }

    /// Removes the mark, also for the processes that inherited the descriptor: they share one open
    /// file description, to which the lock belongs.
    ///
    /// # Errors
    /// [`StateError::Io`] if the kernel refuses it; the mark then stays until the last of these
    /// processes has ended.
    pub fn release(self) -> Result<(), StateError> {
        self.set(libc::F_UNLCK)
    }

    fn set(&self, kind: libc::c_int) -> Result<(), StateError> {
        fcntl(&self.directory, FcntlArg::F_OFD_SETLK(&at(self.key, kind)))
            .map(drop)
            .map_err(|error| StateError::io(Action::Lock, &self.path, error))
    }

    /// Waits until no process has the key marked.
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

/// Whether a key is marked through another open file description than this one.
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

    /// Until a child that another test has forked executes its program, it holds all descriptors of
    /// this process, those of marks too.
    const LONG: Duration = Duration::from_secs(30);

    fn marked(dir: &Dir, key: u64) -> InUse {
        let mark = dir.in_use(key).unwrap();
        mark.mark().unwrap();
        mark
    }

    #[test]
    fn is_marked_by_others_ignores_the_own_mark() {
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
        dir.wait_until_unused(1, LONG).unwrap();
        assert!(!other.is_marked_by_others().unwrap());
    }

    #[test]
    fn a_mark_counts_for_its_key_alone() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::create(directory.path(), 0o700).unwrap();
        dir.wait_until_unused(7, LONG).unwrap();
        let marks = [marked(&dir, 70), marked(&dir, 70)];
        for mark in marks {
            dir.wait_until_unused(7, LONG).unwrap();
            let error = dir.wait_until_unused(70, MOMENT).unwrap_err();
            let shown = directory.path().display();
            assert_eq!(
                error.to_string(),
                format!("{shown} is locked for more than 0.02 s: wait for it or end it")
            );
            drop(mark);
        }
        dir.wait_until_unused(70, LONG).unwrap();
        drop(marked(&dir, u64::MAX));
        dir.wait_until_unused(u64::MAX, LONG).unwrap();
    }

    /// A process that has inherited a mark.
    fn heir(mark: &InUse) -> Child {
        let file = mark.as_fd().try_clone_to_owned().unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("60").stdin(Stdio::from(file)).spawn().unwrap()
    }

    #[test]
    fn a_child_that_inherited_the_descriptor_keeps_the_mark() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::create(directory.path(), 0o700).unwrap();
        let mark = marked(&dir, 1);
        let mut heir = heir(&mark);
        drop(mark);
        dir.wait_until_unused(1, MOMENT).unwrap_err();
        heir.kill().unwrap();
        heir.wait().unwrap();
        dir.wait_until_unused(1, LONG).unwrap();
    }

    #[test]
    fn release_removes_the_mark_of_children_too() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::create(directory.path(), 0o700).unwrap();
        let (mark, other) = (marked(&dir, 1), marked(&dir, 2));
        let mut heir = heir(&mark);
        mark.release().unwrap();
        dir.wait_until_unused(1, LONG).unwrap();
        // Only this key's mark is removed, and only that of this open file description.
        dir.wait_until_unused(2, MOMENT).unwrap_err();
        marked(&dir, 2).release().unwrap();
        dir.wait_until_unused(2, MOMENT).unwrap_err();
        other.release().unwrap();
        dir.wait_until_unused(2, LONG).unwrap();
        heir.kill().unwrap();
        heir.wait().unwrap();
    }
}
