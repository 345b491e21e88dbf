//! A process that makes one slow write and is not waited for.

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, write};

use crate::raw;

/// Those that had not ended yet when they were last looked at. They are reaped by the next
/// [`Apart::write`], so a process that lives on has no more zombies than the last of its writes
/// left behind.
static LEFT: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A process that makes one write(2), for which the kernel takes long, and ends. It is not waited
/// for: whoever has started it may end before, and init reaps it then.
///
/// It has nothing open but the file that is written to: no stream that a reader waits for the end
/// of, no lock, no directory. Nothing kills it with its parent.
#[derive(Debug)]
pub struct Apart {
    pid: Option<Pid>,
}

impl Apart {
    /// Starts it. `name`, of at most 15 bytes, is what ps(1) and top(1) show.
    ///
    /// # Errors
    /// Those of fork(2): among others, there may be no more processes (`pids.max`, `RLIMIT_NPROC`).
    pub fn write(name: &CStr, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Self> {
        left().retain(|pid| !has_ended(*pid));
        let pid = raw::fork(|| {
            raw::close_all_but(file);
            let _ = prctl::set_name(name);
            let _ = write(file, bytes);
        })?;
        Ok(Self { pid: Some(pid) })
    }

    /// Whether it has ended, be it that it was killed before it has written anything.
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

/// Reaps a process that has ended.
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

    /// More than a pipe takes: who writes it waits for a reader.
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
    fn it_has_a_name_and_one_open_file_and_outlives_who_started_it() {
        let (mut reader, writer) = pipe().unwrap();
        // A parent-death signal would come with the end of this thread.
        let start = || Apart::write(c"apart-test", writer.as_fd(), LONG).unwrap();
        let mut apart = thread::scope(|scope| scope.spawn(start).join().unwrap());
        let pid = apart.pid.unwrap();
        wait_until("it has its name", || {
            comm(pid).as_deref() == Some("apart-test\n")
        });
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        assert_eq!(open.count(), 1);
        assert!(!apart.has_ended());
        // Its descriptor is the last one that can be written to.
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
    fn it_is_known_that_it_was_killed() {
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
