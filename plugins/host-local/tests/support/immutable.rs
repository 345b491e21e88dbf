//! Files that even root cannot change.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file or directory with the attribute `i` of chattr(1), until this value is dropped.
pub(crate) struct Immutable(PathBuf);

impl Immutable {
    /// Sets the attribute; where that is impossible, the test is reported as skipped.
    #[track_caller]
    pub(crate) fn make(path: &Path) -> Option<Self> {
        if !chattr("+i", path) {
            testkit::requirements::skip("needs root and a file system with immutable files");
            return None;
        }
        Some(Self(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        assert!(chattr("-i", &self.0) || std::thread::panicking());
    }
}

fn chattr(change: &str, path: &Path) -> bool {
    let changed = Command::new("chattr").arg(change).arg(path).output();
    changed.is_ok_and(|output| output.status.success())
}
