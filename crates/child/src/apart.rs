//! A forked process that makes one slow write(2) and exits; the caller does not wait for it.

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, write};

use crate::raw;

/// Processes that had not ended when they were last looked at. The next [`Apart::write`] reaps
/// them, so a long-lived process has at most the zombies of its last writes.
static LEFT: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A forked process that makes one slow write(2) and exits. If the parent ends first, init reaps
/// the process.
///
/// The file that it writes to is its only open file. So it keeps no pipe of the caller open, and
/// holds no lock or directory. It has no parent-death signal.
#[derive(Debug)]
pub struct Apart {
    pid: Option<Pid>,
}

impl Apart {
    /// Starts the process. ps(1) and top(1) show `name`, which has at most 15 bytes.
    ///
    /// # Errors
    /// Those of fork(2), among them a limit on processes (`pids.max`, `RLIMIT_NPROC`).
    pub fn write(name: &CStr, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Self> {
        left().retain(|pid| !has_ended(*pid));
        let pid = raw::fork(|| {
            raw::close_all_but(file);
            let _ = prctl::set_name(name);
            let _ = write(file, bytes);
        })?;
        Ok(Self { pid: Some(pid) })
    }

    /// Whether the process has ended, possibly killed before it wrote anything.
    pub fn has_ended(&mut self) -> bool {
        self.pid = self.pid.filter(|pid| !has_ended(*pid));
        self.pid.is_none()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        left().extend(self.pid);
    }
}

fn left() -> std::sync::MutexGuard<'static, Vec<Pid>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a process has ended; if so, reaps it.
fn has_ended(pid: Pid) -> bool {
    !matches!(
        waitpid(pid, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive)
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, pipe};
    use std::os::fd::AsFd;
    use std::thread;
    use std::time::{Duration, Instant};

    use nix::sys::signal::{Signal, kill};

    use super::*;

    /// More bytes than a pipe holds, so that the writer waits for a reader.
    const LONG: &[u8] = &[b'x'; 1 << 20];

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn comm(pid: Pid) -> Option<String> {
        fs::read_to_string(format!("/proc/{pid}/comm")).ok()
    }

    #[test]
    fn the_process_has_a_name_and_one_open_file_and_outlives_its_parent() {
        let (mut reader, writer) = pipe().unwrap();
        // The end of the thread would send a parent-death signal.
        let start = || Apart::write(c"apart-test", writer.as_fd(), LONG).unwrap();
        let mut apart = thread::scope(|scope| scope.spawn(start).join().unwrap());
        let pid = apart.pid.unwrap();
        wait_until("it has its name", || {
            comm(pid).as_deref() == Some("apart-test\n")
        });
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        assert_eq!(open.count(), 1);
        assert!(!apart.has_ended());
        // From now on, only the process has the pipe open for writing.
        drop(writer);
        let mut written = Vec::new();
        reader.read_to_end(&mut written).unwrap();
        assert!(written == LONG);
        drop(apart);
        wait_until("a process of long ago is reaped", || {
            let (_reader, writer) = pipe().unwrap();
            Apart::write(c"apart-test", writer.as_fd(), b"x").unwrap();
            comm(pid).is_none()
        });
    }

    #[test]
    fn a_killed_process_has_ended() {
        let (_reader, writer) = pipe().unwrap();
        let mut apart = Apart::write(c"apart-test", writer.as_fd(), LONG).unwrap();
        assert!(!apart.has_ended());
        kill(apart.pid.unwrap(), Signal::SIGKILL).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !apart.has_ended() {
            assert!(Instant::now() < deadline);
        }
        assert!(apart.has_ended());
    }
}
