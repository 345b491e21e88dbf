//! Times of files and directories.

use std::time::{Duration, SystemTime};

use nix::sys::time::TimeSpec;

/// A modification time. Every change of a file or directory sets it to the present, so a time that
/// was set to another value shows whether somebody else has changed the file since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds after that, less than a thousand million.
    pub nanoseconds: i64,
}

impl Stamp {
    pub(crate) fn of(stat: &nix::sys::stat::FileStat) -> Self {
        Self {
            seconds: wide(stat.st_mtime),
            nanoseconds: wide(stat.st_mtime_nsec),
        }
    }

    pub(crate) fn of_change(stat: &nix::sys::stat::FileStat) -> Self {
        Self {
            seconds: wide(stat.st_ctime),
            nanoseconds: wide(stat.st_ctime_nsec),
        }
    }

    /// The moment; `None` for one before 1970.
    pub fn moment(self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let nanoseconds = u32::try_from(self.nanoseconds).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
    }
}

/// The two times of a directory. Nobody can set a change time, so it distinguishes a directory from
/// a copy to which a program has given the same modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirStamp {
    /// The modification time: when an entry was last created, renamed or removed.
    pub modified: Stamp,
    /// The change time: when an entry or the inode was last changed, the modification time
    /// included.
    pub changed: Stamp,
}

impl DirStamp {
    pub(crate) fn of(stat: &nix::sys::stat::FileStat) -> Self {
        Self {
            modified: Stamp::of(stat),
            changed: Stamp::of_change(stat),
        }
    }
}

impl From<Stamp> for TimeSpec {
    fn from(stamp: Stamp) -> Self {
        TimeSpec::new(stamp.seconds as _, stamp.nanoseconds as _)
    }
}

/// A number of the C library, which has 32 bits on some platforms and 64 on others.
fn wide(number: impl Into<i64>) -> i64 {
    number.into()
}
