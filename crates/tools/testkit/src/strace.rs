//! Calls under strace(1): their system calls, and faults in these.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::invocation::Invocation;
use crate::requirements::skip;

/// A file for the system calls of one call at a time.
#[derive(Debug)]
pub struct Strace(TempDir);

impl Strace {
    /// `None`, reported as a skip, without strace or the right to trace.
    ///
    /// # Panics
    /// With `CI=true` instead, and if the file's directory cannot be made.
    #[must_use]
    #[track_caller]
    pub fn new() -> Option<Self> {
        let mut strace = Command::new("strace");
        let probe = strace.args(["-qq", "-o", "/dev/null", "true"]).output();
        if !probe.is_ok_and(|output| output.status.success()) {
            skip("needs strace (Debian package strace) and the right to trace");
            return None;
        }
        Some(Self(TempDir::with_prefix("twill-strace-").unwrap()))
    }

    /// A call under strace, with all processes that it starts. The option `-e` gets these
    /// expressions, which select system calls (`trace=socket`) and may inject faults.
    #[must_use]
    pub fn of(&self, call: Invocation, expressions: &[&str]) -> Invocation {
        let file = self.0.path().join("trace");
        let file = file.to_str().unwrap();
        let options = expressions.iter().flat_map(|expression| ["-e", expression]);
        call.under(
            ["strace", "-f", "-qq", "-o", file]
                .into_iter()
                .chain(options),
        )
    }

    /// The system calls of the last call, one per line.
    ///
    /// # Panics
    /// If there was no call.
    #[must_use]
    #[track_caller]
    pub fn calls(&self) -> String {
        fs::read_to_string(self.0.path().join("trace")).unwrap()
    }
}
