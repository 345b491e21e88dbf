//! Times of files and directories.

use nix::sys::time::TimeSpec;

/// A modification time. Whoever changes a file or a directory sets it to the present, so a value of
/// one's own making tells whether somebody else did.
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
            seconds: stat.st_mtime,
            nanoseconds: stat.st_mtime_nsec,
        }
    }
}

/// When a directory was changed. Nobody can set the time of the change itself, so one that has
/// another's modification time, as what copies directories gives it, is still told from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirStamp {
    /// The modification time, of the directory's entries.
    pub modified: Stamp,
    /// The change time, of these and of the directory's inode: of its modification time too.
    pub changed: Stamp,
}

impl DirStamp {
    pub(crate) fn of(stat: &nix::sys::stat::FileStat) -> Self {
        Self {
            modified: Stamp::of(stat),
            changed: Stamp {
                seconds: stat.st_ctime,
                nanoseconds: stat.st_ctime_nsec,
            },
        }
    }
}

impl From<Stamp> for TimeSpec {
    fn from(stamp: Stamp) -> Self {
        TimeSpec::new(stamp.seconds, stamp.nanoseconds)
    }
}
