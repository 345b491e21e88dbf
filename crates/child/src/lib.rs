//! Programs that end with the process that has started them, however that ends.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{ExitStatusExt, parent_id};
use std::path::Path;
use std::process::{self, ExitStatus};

use fork::ProcessFork;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, execve, execvp};

/// What to run.
#[derive(Debug)]
pub struct Image {
    /// A path, or a name without a slash that is looked up in `PATH`.
    program: CString,
    /// `argv`, with the program first.
    arguments: Vec<CString>,
    /// `None`: that of this process.
    environment: Option<Vec<CString>>,
}

impl Image {
    /// The program at a path, with nothing but this path as argument, and these variables alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`]: a path or a variable with a NUL byte.
    pub fn at<'a>(
        path: &Path,
        environment: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> io::Result<Self> {
        let variables = environment.map(|(name, value)| {
            let mut variable = OsString::with_capacity(name.len() + 1 + value.len());
            variable.extend([name, "=".as_ref(), value]);
            CString::new(variable.into_vec())
        });
        let program = CString::new(path.as_os_str().to_owned().into_vec())?;
        Ok(Self {
            arguments: vec![program.clone()],
            program,
            environment: Some(variables.collect::<Result<_, _>>()?),
        })
    }

    /// The first program of a name in `PATH`, with these arguments after its name, and with this process's environment.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`]: a name or an argument with a NUL byte.
    pub fn named(name: &str, arguments: &[&str]) -> io::Result<Self> {
        let program = CString::new(name)?;
        let arguments = [&name].into_iter().chain(arguments);
        let arguments = arguments.map(|argument| CString::new(*argument));
        Ok(Self {
            arguments: arguments.collect::<Result<_, _>>()?,
            program,
            environment: None,
        })
    }

    /// Replaces this process.
    fn exec(&self) -> nix::Result<Infallible> {
        match &self.environment {
            Some(environment) => execve(&self.program, &self.arguments, environment),
            None => execvp(&self.program, &self.arguments),
        }
    }
}

/// A process that the kernel ends when this one ends, however that happens. A runtime kills a plugin that is late, but
/// knows nothing of what the plugin has started, and its DEL must not run beside that.
///
/// A child can only set its parent-death signal (prctl(2), `PR_SET_PDEATHSIG`) itself, between fork and exec, so the
/// standard library's `Child` cannot be had. The signal comes with the end of the parent's thread; a plugin has one.
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
    /// Starts a program with pipes for its three standard streams. The open file `lifeline` stays open in it, and in all
    /// that it starts itself.
    ///
    /// Whether execve(2) succeeds is only told by [`Child::wait`]: until then there is time for something else.
    ///
    /// # Errors
    /// Those of pipe(2) and fork(2).
    pub fn start(image: &Image, lifeline: Option<BorrowedFd<'_>>) -> io::Result<(Self, Streams)> {
        let (its_stdin, stdin) = pipe()?;
        let (stdout, its_stdout) = pipe()?;
        let (stderr, its_stderr) = pipe()?;
        let (refusal, its_refusal) = pipe()?;
        let parent = process::id();

        let pid = match fork::fork_process()? {
            ProcessFork::Parent(pid) => Pid::from_raw(pid.get()),
            ProcessFork::Child => {
                let Err(error) = dup2_stdin(&its_stdin)
                    .and_then(|()| dup2_stdout(&its_stdout))
                    .and_then(|()| dup2_stderr(&its_stderr))
                    .and_then(|()| become_program(image, lifeline, parent));
                refuse(its_refusal, error)
            }
        };
        // What is the child's must not be open here as well, or its pipes would never end: it is dropped here.
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
        let status = fork::waitpid(self.pid.as_raw()).map(ExitStatus::from_raw)?;
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
            let _ = fork::waitpid(self.pid.as_raw());
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

/// In the new process: arranges its end and runs the program. What is to be known of the
/// program is made up beforehand, as little can be relied on after a fork.
fn become_program(
    image: &Image,
    lifeline: Option<BorrowedFd<'_>>,
    parent: u32,
) -> nix::Result<Infallible> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if parent_id() != parent {
        // It ended just before that.
        return Err(Errno::ESRCH);
    }
    if let Some(lifeline) = lifeline {
        fcntl(lifeline, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    // Rust ignores it, and what is ignored stays so.
    sigpipe::reset();
    image.exec()
}

/// In the new process, when there is no program to run: tells why, and ends without running anything of the parent's.
fn refuse(mut refusal: PipeWriter, error: Errno) -> ! {
    let _ = refusal.write_all(&(error as i32).to_ne_bytes());
    loop {
        let _ = raise(Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests;
