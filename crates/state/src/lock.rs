use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Action, StateError};

/// How long the first pause between two attempts is, and the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// A lock on a file (flock(2)), held until it is dropped. The kernel drops it with the process, however that ends; if the
/// process passed the descriptor to others, with the last of them.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct Lock {
    file: File,
}

/// Who else may hold a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody.
    Exclusive,
    /// Those who share it too.
    Shared,
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Lock {
    /// Locks an open file, waiting for others for at most `patience`.
    ///
    /// flock(2) itself can only wait forever, so it is tried again and again: after short pauses at first, since locks
    /// are held for a fraction of a millisecond.
    pub(crate) fn acquire(
        file: File,
        kind: Kind,
        path: &Path,
        patience: Duration,
    ) -> Result<Self, StateError> {
        let give_up = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = match kind {
                Kind::Exclusive => file.try_lock(),
                Kind::Shared => file.try_lock_shared(),
            };
            match outcome {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) if Instant::now() >= give_up => {
                    return Err(StateError::Locked {
                        path: path.to_owned(),
                        holder: holder(&file),
                        patience,
                    });
                }
                Err(TryLockError::WouldBlock) => {
                    sleep(pause);
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => {
                    return Err(StateError::io(Action::Lock, path, error));
                }
            }
        }
    }
}

/// The process that holds a file's lock, from `/proc/locks`: lines such as `1: FLOCK  ADVISORY  WRITE 4711 fe:00:99 0 EOF`.
fn holder(file: &File) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let (major, minor) = (
        nix::sys::stat::major(metadata.dev()),
        nix::sys::stat::minor(metadata.dev()),
    );
    let file = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, locked, ..] if *locked == file => pid.parse().ok(),
            _ => None,
        }
    })
}
