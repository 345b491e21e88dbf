use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::process::ExitStatus;

use child::{Child, Ended, Image};

/// What a program left.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Runs a program to its end. It ends with this process: what it would change after that, nobody would know to undo. The open
/// file `mark` stays open in it.
///
/// It may write more to its standard error than fits into a pipe (64 KiB) only after its standard output is closed.
pub(super) fn run(
    program: &str,
    args: &[&str],
    input: &str,
    mark: Option<BorrowedFd<'_>>,
) -> io::Result<Output> {
    let image = Image::named(program, args)?;
    let (child, mut streams) = Child::start(&image, mark)?;
    // If it does not want to hear more it has failed, and says so by how it ends.
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
