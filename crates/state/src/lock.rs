use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Action, StateError};

/// The pauses between attempts: short at first, since most things are held for a fraction of a millisecond.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Option<Duration>);

impl Pauses {
    const FIRST: Duration = Duration::from_micros(100);
    const LONGEST: Duration = Duration::from_millis(5);

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self
            .0
            .map_or(Self::FIRST, |last| Self::LONGEST.min(last * 2));
        self.0 = Some(pause);
        pause
    }
}

/// An exclusive lock on a file (flock(2)), held until it is dropped. The kernel drops it with the process, however that
/// ends.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks an open file, waiting for others for at most `patience`.
    ///
    /// flock(2) itself can only wait forever, so it is tried again and again.
    pub(crate) fn acquire(file: File, path: &Path, patience: Duration) -> Result<Self, StateError> {
        let give_up = Instant::now() + patience;
        let mut pauses = Pauses::default();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() >= give_up => {
                    return Err(StateError::Locked {
                        path: path.to_owned(),
                        holder: holder(&file),
                        patience,
                    });
                }
                Err(TryLockError::WouldBlock) => {
                    sleep(pauses.next());
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
