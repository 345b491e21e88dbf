//! The operator's commands.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command that people run: it prints"
)]

mod arguments;
mod convert;

use std::process::ExitCode;

use crate::arguments::{Arguments, USAGE};

fn main() -> ExitCode {
    let done = match Arguments::from_process() {
        Ok(Arguments::Help) => {
            print!("{USAGE}");
            Ok(())
        }
        Ok(Arguments::Version) => {
            println!("twill {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Ok(Arguments::Convert(conversion)) => conversion.run(),
        Err(error) => Err(anyhow::anyhow!("{error:#}; see twill --help")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twill: {error:#}");
            ExitCode::FAILURE
        }
    }
}
