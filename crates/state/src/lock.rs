//! flock(2) with a timeout.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::{Action, StateError};

/// The pauses between attempts: short at first, because most locks are held for a fraction of a
/// millisecond.
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

/// The timeout of an operation, which all locks that it takes share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    timeout: Duration,
    started: Instant,
}

impl Limit {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            started: Instant::now(),
        }
    }

    /// The time that is left.
    pub(crate) fn left(self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }
}

/// An exclusive lock on a file or directory (flock(2)), held until it is dropped. The kernel
/// releases it when the process ends, however it ends.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct Lock {
    file: Arc<File>,
}

impl Lock {
    /// Locks an open file. Waits for other processes until the limit.
    pub(crate) fn acquire(file: File, path: &Path, limit: Limit) -> Result<Self, StateError> {
        let file = Arc::new(file);
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => wait(&file, path, limit),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {
                wait(&file, path, limit)
            }
            Err(TryLockError::Error(error)) => Err(StateError::io(Action::Lock, path, error)),
            Ok(()) => Ok(()),
        };
        locked.map(|()| Self { file })
    }

    /// The locked file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// As [`Lock::acquire`], but `None` if the file system cannot lock such a file. Some network
    /// file systems lock only what is open for writing, which a directory cannot be.
    pub(crate) fn acquire_if_supported(
        file: File,
        path: &Path,
        limit: Limit,
    ) -> Result<Option<Self>, StateError> {
        match Self::acquire(file, path, limit) {
            Err(StateError::Io { source, .. }) if is_unsupported(&source) => Ok(None),
            acquired => acquired.map(Some),
        }
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EBADF | Errno::EINVAL | Errno::ENOLCK | Errno::ENOSYS | Errno::EOPNOTSUPP)
    )
}

/// The number of parts of a wait. At the end of each, the holder of the lock is recorded.
const PARTS: u32 = 4;

/// Waits in the kernel's queue for a lock that another process holds. This process and others in
/// the queue, such as the Go plugins, get the lock in turn.
fn wait(file: &Arc<File>, path: &Path, limit: Limit) -> Result<(), StateError> {
    let part = limit.left() / PARTS;
    // Without a timeout, no thread may stay behind and wait.
    let answer = (!part.is_zero()).then(|| wait_in_thread(file)).flatten();
    let mut holders = Vec::new();
    let mut pauses = Pauses::default();
    for _ in 0..PARTS {
        let locked = match &answer {
            Some(answer) => answer_within(answer, part),
            None => poll(file, &mut pauses, part),
        };
        if let Some(locked) = locked {
            return locked.map_err(|error| StateError::io(Action::Lock, path, error));
        }
        holders.push(holder(file));
    }
    Err(StateError::Locked {
        path: path.to_owned(),
        moves_on: changes_hands(&holders),
        holder: holders.pop().flatten(),
        timeout: limit.timeout,
    })
}

/// Whether several processes held a lock, one after another. Parts in which no holder was seen do
/// not count: `/proc/locks` is no atomic snapshot, and may leave a lock out.
fn changes_hands(holders: &[Option<u32>]) -> bool {
    let mut seen = holders.iter().flatten();
    seen.next()
        .is_some_and(|first| seen.any(|holder| holder != first))
}

/// Waits for the lock in a thread, because flock(2) has no timeout; `None` if no thread can be
/// started.
///
/// Once nobody waits for the answer, the thread releases the lock as soon as it gets it, or ends
/// with the process.
fn wait_in_thread(file: &Arc<File>) -> Option<Receiver<io::Result<()>>> {
    let (sender, answer) = mpsc::channel();
    let file = Arc::clone(file);
    let wait = move || {
        let locked = loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => break locked,
            }
        };
        // Before the answer, whose receiver must be the only one that holds the file.
        drop(file);
        let _ = sender.send(locked);
    };
    thread::Builder::new().spawn(wait).ok().map(|_| answer)
}

fn answer_within(answer: &Receiver<io::Result<()>>, time: Duration) -> Option<io::Result<()>> {
    match answer.recv_timeout(time) {
        Ok(locked) => Some(locked),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => {
            Some(Err(io::Error::other("the thread that waited has ended")))
        }
    }
}

/// Tries to lock a file repeatedly; `None` if others hold the lock all the time.
fn poll(file: &File, pauses: &mut Pauses, time: Duration) -> Option<io::Result<()>> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Some(Ok(())),
            Err(TryLockError::WouldBlock) if started.elapsed() >= time => return None,
            Err(TryLockError::WouldBlock) => sleep(pauses.next()),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Some(Err(error)),
        }
    }
}

/// The process that holds a file's lock, according to `/proc/locks`, which has lines such as
/// `1: FLOCK  ADVISORY WRITE 4711 fe:00:99 0 EOF`.
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

#[cfg(test)]
mod tests;
