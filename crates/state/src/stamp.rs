use nix::sys::time::TimeSpec;

/// A modification time. Whoever changes a file or a folder sets it to the present, so a value of one's own making tells
/// whether somebody else did.
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

impl From<Stamp> for TimeSpec {
    fn from(stamp: Stamp) -> Self {
        TimeSpec::new(stamp.seconds, stamp.nanoseconds)
    }
}
