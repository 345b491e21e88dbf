//! The system calls of an ADD, by strace.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testkit::binaries;
use testkit::requirements::skip;

use crate::desk::Desk;

/// An ADD that is traced while it runs.
pub(crate) struct Traced {
    strace: Child,
    /// A directory beside the desk, because flannel may watch the desk.
    directory: TempDir,
}

impl Traced {
    /// `None`, reported as a skip, without strace. The options select the system calls.
    #[track_caller]
    pub(crate) fn start(
        desk: &Desk,
        options: &[&str],
        netconf: &Value,
        variables: &[(&str, &OsStr)],
    ) -> Option<Self> {
        let works = Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "true"])
            .output();
        if !works.is_ok_and(|output| output.status.success()) {
            skip("needs strace and the right to trace");
            return None;
        }
        let directory = TempDir::with_prefix("twill-trace-").unwrap();
        let mut strace = Command::new("strace")
            .args(options)
            .arg("-o")
            .arg(directory.path().join("trace"))
            .arg(binaries::plugin("flannel"))
            .env("CNI_COMMAND", "ADD")
            .env("CNI_CONTAINERID", "c1")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_NETNS", "/run/netns/c1")
            .env("CNI_PATH", desk.delegate.dir())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = strace.stdin.take().unwrap();
        stdin.write_all(netconf.to_string().as_bytes()).unwrap();
        Some(Self { strace, directory })
    }

    /// The system calls so far, one per line.
    pub(crate) fn calls(&self) -> String {
        fs::read_to_string(self.file()).unwrap_or_default()
    }

    /// Waits for the end, and returns the outcome and all system calls.
    #[track_caller]
    pub(crate) fn wait(self) -> (Output, String) {
        let file = self.file();
        let output = self.strace.wait_with_output().unwrap();
        (output, fs::read_to_string(file).unwrap())
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("trace")
    }
}
