//! Processes that a plugin starts: a program that ends with the plugin ([`Child`]), and a system
//! call that may outlive the plugin ([`Apart`]).

mod apart;
mod image;
mod raw;

use std::io::{self, PipeReader, PipeWriter, Read, pipe};
use std::os::fd::BorrowedFd;
use std::os::unix::process::{ExitStatusExt, parent_id};
use std::process::{self, ExitStatus};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, write};

pub use apart::Apart;
pub use image::Image;

use image::Prepared;

/// A child process that the kernel kills when its parent ends, for whatever reason. A runtime kills
/// a plugin that exceeds its timeout, but not the processes that the plugin has started, and the
/// runtime's DEL must not run beside them.
///
/// A process can only set its own parent-death signal (prctl(2), `PR_SET_PDEATHSIG`), between fork
/// and exec, so the standard library's `Child` does not serve. The signal is sent at the end of the
/// thread that forked; a plugin has one thread.
///
/// The process is killed if the value is dropped before [`Child::wait`].
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Yields the errno of a failed exec. A successful exec closes the other end.
    refusal: PipeReader,
    is_reaped: bool,
}

/// The parent's ends of the pipes to a child's standard streams.
#[derive(Debug)]
pub struct Streams {
    /// To the child's standard input.
    pub stdin: PipeWriter,
    /// From the child's standard output.
    pub stdout: PipeReader,
    /// From the child's standard error.
    pub stderr: PipeReader,
}

impl Child {
    /// Starts a program with pipes for its three standard streams. The file `lifeline` stays open
    /// in the program and in every process that the program starts.
    ///
    /// Only [`Child::wait`] reports a failed execve(2), so the caller can work in the meantime.
    ///
    /// # Errors
    /// Those of pipe(2) and fork(2).
    pub fn start(image: &Image, lifeline: Option<BorrowedFd<'_>>) -> io::Result<(Self, Streams)> {
        let (its_stdin, stdin) = pipe()?;
        let (stdout, its_stdout) = pipe()?;
        let (stderr, its_stderr) = pipe()?;
        let (refusal, its_refusal) = pipe()?;
        let parent = process::id();
        let prepared = image.prepare();

        let pid = raw::fork(|| {
            let become_program = || {
                dup2_stdin(&its_stdin)?;
                dup2_stdout(&its_stdout)?;
                dup2_stderr(&its_stderr)?;
                become_program(&prepared, lifeline, parent)
            };
            if let Err(error) = become_program() {
                let _ = write(&its_refusal, &(error as i32).to_ne_bytes());
            }
        })?;
        // The end of this function closes the child's ends of the pipes. Otherwise the pipes would
        // never end.
        let child = Self {
            pid,
            refusal,
            is_reaped: false,
        };
        let streams = Streams {
            stdin,
            stdout,
            stderr,
        };
        Ok((child, streams))
    }

    /// Kills the process, which may have ended already.
    pub fn kill(&self) {
        let _ = kill(self.pid, Signal::SIGKILL);
    }

    /// Waits for the end of the process. The caller has read its output to the end.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn wait(mut self) -> io::Result<Ended> {
        let mut errno = Vec::new();
        self.refusal.read_to_end(&mut errno)?;
        self.is_reaped = true;
        let status = raw::wait(self.pid).map(ExitStatus::from_raw)?;
        Ok(match <[u8; 4]>::try_from(errno) {
            Err(_) => Ended::Run(status),
            Ok(errno) => Ended::NotRun(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            let _ = raw::wait(self.pid);
        }
    }
}

/// The end of a process.
#[derive(Debug)]
pub enum Ended {
    /// The program ran and ended with this status.
    Run(ExitStatus),
    /// execve(2) failed.
    NotRun(io::Error),
}

/// Runs in the new process: sets the parent-death signal and executes the program. Returns only if
/// that fails.
fn become_program(
    program: &Prepared<'_>,
    lifeline: Option<BorrowedFd<'_>>,
    parent: u32,
) -> nix::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if parent_id() != parent {
        // The parent ended before the signal was set.
        return Err(Errno::ESRCH);
    }
    if let Some(lifeline) = lifeline {
        fcntl(lifeline, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    raw::reset_sigpipe();
    Err(program.exec())
}

#[cfg(test)]
mod tests;
