//! Processes that a plugin starts: programs that end with it ([`Child`]), and a system call that
//! outlives it ([`Apart`]).

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

/// A process that the kernel ends when this one ends, however that happens. A runtime kills a
/// plugin that is late, but knows nothing of what the plugin has started, and its DEL must not run
/// beside that.
///
/// A child can only set its parent-death signal (prctl(2), `PR_SET_PDEATHSIG`) itself, between fork
/// and exec, so the standard library's `Child` cannot be had. The signal comes with the end of the
/// parent's thread; a plugin has one.
///
/// Dropped without having been waited for, it is killed.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Closed unused by a successful exec; else what has failed.
    refusal: PipeReader,
    is_reaped: bool,
}

/// This end of a child's standard streams.
#[derive(Debug)]
pub struct Streams {
    /// What the child reads.
    pub stdin: PipeWriter,
    /// What the child writes.
    pub stdout: PipeReader,
    /// What the child writes to its standard error.
    pub stderr: PipeReader,
}

impl Child {
    /// Starts a program with pipes for its three standard streams. The open file `lifeline` stays
    /// open in it, and in all that it starts itself.
    ///
    /// Whether execve(2) succeeds is only told by [`Child::wait`]: until then there is time for
    /// something else.
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
        // What is the child's must not be open here as well, or its pipes would never end: it is
        // dropped here.
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

    /// Waits for the end of the process, after that of its output.
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

/// How a process has ended.
#[derive(Debug)]
pub enum Ended {
    /// The program ran, and left this.
    Run(ExitStatus),
    /// The program could not be run.
    NotRun(io::Error),
}

/// In the new process: arranges its end and runs the program. Returns only if that fails.
fn become_program(
    program: &Prepared<'_>,
    lifeline: Option<BorrowedFd<'_>>,
    parent: u32,
) -> nix::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if parent_id() != parent {
        // It ended just before that.
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
