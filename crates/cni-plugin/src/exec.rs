//! Running a plugin as a process: from standard input to standard output.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

use child::{Child, Ended, Image, Streams};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Environment;

/// The largest answer of a plugin, in bytes: 64 MiB.
const MAX_STDOUT: usize = 64 << 20;

/// The number of bytes of a plugin's standard error that are kept for an error message.
const KEPT_STDERR: usize = 1024;

/// The timeout and the pause for starting a binary again that is open for writing (`ETXTBSY`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// The number of bytes that can be written to a pipe without blocking once poll(2) reports it as
/// writable: `PIPE_BUF`.
const PIPE_CHUNK: usize = 4096;

/// Why there is no [`Output`].
#[derive(Debug)]
pub(crate) enum RunError {
    /// The process was not started.
    Start(io::Error),
    /// Writing the process's input or reading its output failed.
    Talk(io::Error),
}

/// The outcome of a plugin's process.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    /// The start of standard error, which has been passed on already.
    pub(crate) stderr: Vec<u8>,
}

/// A program to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program<'a> {
    pub(crate) path: &'a Path,
    /// A file that stays open in the process and in every process that it starts.
    pub(crate) lifeline: Option<BorrowedFd<'a>>,
}

impl<'a> Program<'a> {
    /// Starts the program, with its path as the only argument. The program gets its input, and can
    /// do its work, only with [`Started::finish`].
    pub(crate) fn start(self, environment: &Environment) -> Result<Started<'a>, RunError> {
        let image = Image::at(self.path, environment.iter()).map_err(RunError::Start)?;
        let process = Child::start(&image, self.lifeline).map_err(RunError::Start)?;
        Ok(Started {
            image,
            lifeline: self.lifeline,
            process,
        })
    }
}

/// A started program that waits for its input. If the value is dropped, the program is killed.
#[derive(Debug)]
pub(crate) struct Started<'a> {
    image: Image,
    lifeline: Option<BorrowedFd<'a>>,
    process: (Child, Streams),
}

impl Started<'_> {
    /// Writes the program's input, and waits for the end of its output and of the program. Standard
    /// error is passed on as it arrives.
    pub(crate) fn finish(self, stdin: &[u8]) -> Result<Output, RunError> {
        let give_up = Instant::now() + BUSY_TIMEOUT;
        let mut process = self.process;
        loop {
            match finish(process, stdin) {
                // A binary cannot be executed while a process has it open for writing (ETXTBSY).
                Err(RunError::Start(error))
                    if error.kind() == io::ErrorKind::ExecutableFileBusy
                        && Instant::now() < give_up =>
                {
                    sleep(BUSY_PAUSE);
                    process = Child::start(&self.image, self.lifeline).map_err(RunError::Start)?;
                }
                outcome => return outcome,
            }
        }
    }
}

fn finish((child, streams): (Child, Streams), stdin: &[u8]) -> Result<Output, RunError> {
    let outcome = communicate(stdin, streams);
    if outcome.is_err() {
        // The process must be gone before the pipes are closed.
        child.kill();
    }
    match child.wait().map_err(RunError::Talk)? {
        Ended::NotRun(error) => Err(RunError::Start(error)),
        Ended::Run(status) => {
            let (stdout, stderr) = outcome.map_err(RunError::Talk)?;
            Ok(Output {
                status,
                stdout,
                stderr,
            })
        }
    }
}

/// Writes standard input and reads both outputs as each becomes ready, so that neither process can
/// block the other. Returns at the end of both outputs.
fn communicate(stdin: &[u8], streams: Streams) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut to_stdin = Some(streams.stdin);
    let mut from_stdout = Some(streams.stdout);
    let mut from_stderr = Some(streams.stderr);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut unwritten = stdin;

    loop {
        if unwritten.is_empty() {
            to_stdin = None;
        }
        if from_stdout.is_none() && from_stderr.is_none() {
            return Ok((stdout, stderr));
        }
        let [stdin_ready, stdout_ready, stderr_ready] = wait_until_ready([
            to_stdin
                .as_ref()
                .map(|pipe| (pipe.as_fd(), PollFlags::POLLOUT)),
            from_stdout
                .as_ref()
                .map(|pipe| (pipe.as_fd(), PollFlags::POLLIN)),
            from_stderr
                .as_ref()
                .map(|pipe| (pipe.as_fd(), PollFlags::POLLIN)),
        ])?;
        if stdin_ready && let Some(pipe) = &mut to_stdin {
            let chunk = unwritten.get(..PIPE_CHUNK).unwrap_or(unwritten);
            match pipe.write(chunk) {
                Ok(count) => unwritten = unwritten.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A plugin need not read its input to the end.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => unwritten = &[],
                Err(error) => return Err(error),
            }
        }
        if stdout_ready {
            read_some(&mut from_stdout, &mut stdout)?;
            if stdout.len() > MAX_STDOUT {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!("its answer has more than {} MiB", MAX_STDOUT >> 20),
                ));
            }
        }
        if stderr_ready {
            let mut said = Vec::new();
            read_some(&mut from_stderr, &mut said)?;
            // A closed standard error must not stop the call.
            let _ = io::stderr().lock().write_all(&said);
            said.truncate(KEPT_STDERR - stderr.len());
            stderr.append(&mut said);
        }
    }
}

/// Waits until at least one of the pipes is ready or its other end is closed, and returns which.
fn wait_until_ready(pipes: [Option<(BorrowedFd<'_>, PollFlags)>; 3]) -> io::Result<[bool; 3]> {
    let mut polled: Vec<PollFd<'_>> = pipes
        .iter()
        .flatten()
        .map(|(pipe, events)| PollFd::new(*pipe, *events))
        .collect();
    while let Err(error) = poll(&mut polled, PollTimeout::NONE) {
        if error != Errno::EINTR {
            return Err(error.into());
        }
    }
    let mut events = polled.iter().map(|pipe| pipe.any().unwrap_or(true));
    Ok(pipes.map(|pipe| pipe.is_some() && events.next().unwrap_or(false)))
}

/// Reads the available bytes, and closes the pipe at its end.
fn read_some(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    let Some(source) = pipe else { return Ok(()) };
    match source.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => into.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
