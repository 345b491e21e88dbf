//! Running one program to its end.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::process::ExitStatus;

use child::{Child, Ended, Image};

/// The outcome of a program.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Runs a program to its end. The program is killed when this process ends, because no rollback
/// would undo its later changes. It inherits the open file `lock`.
///
/// The program must not write more than a pipe holds (64 KiB) to standard error before it closes
/// standard output.
///
/// # Errors
/// If the program cannot be started, or its output cannot be read.
pub(super) fn run(
    program: &str,
    args: &[&str],
    input: &str,
    lock: Option<BorrowedFd<'_>>,
) -> io::Result<Output> {
    let image = Image::named(program, args)?;
    let (child, mut streams) = Child::start(&image, lock)?;
    // A program that does not read all of its input has failed, and its exit status says so.
    drop(streams.stdin.write_all(input.as_bytes()));
    drop(streams.stdin);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    streams.stdout.read_to_end(&mut stdout)?;
    streams.stderr.read_to_end(&mut stderr)?;
    match child.wait()? {
        Ended::NotRun(error) => Err(error),
        Ended::Run(status) => Ok(Output {
            status,
            stdout,
            stderr,
        }),
    }
}
