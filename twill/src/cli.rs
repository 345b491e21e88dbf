//! The command line of `twill`, and its exit status.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the edge of a program that people run: its arguments, streams and exit status"
)]

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

#[cfg(feature = "db")]
use crate::commands::reserve;
use crate::commands::{
    add, check, convert, del, doctor, gc, install, leases, metrics, release, render, repair, show,
    status, uninstall,
};
use crate::context::Context;
use crate::error::in_words;
use crate::output::{Output, visible};
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Inspects and repairs the container network of this node.
///
/// The exit status is 0 if all is well or done, 1 if faults were found, and 2 if the command could
/// not do its work.
#[derive(Debug, Parser)]
#[command(name = "twill", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(add::Options),
    Check(check::Options),
    Convert(convert::Options),
    Del(del::Options),
    Doctor(doctor::Options),
    Gc(gc::Options),
    Install(install::Options),
    Leases(leases::Options),
    Metrics(metrics::Options),
    Release(release::Options),
    Render(render::Options),
    Repair(repair::Options),
    #[cfg(feature = "db")]
    Reserve(reserve::Options),
    Show(show::Options),
    Status(status::Options),
    Uninstall(uninstall::Options),
}

impl Command {
    /// The name of a command that may make people wait.
    fn waits(&self) -> Option<&'static str> {
        Some(match self {
            Self::Doctor(_) => "doctor",
            Self::Gc(_) => "gc",
            Self::Install(_) => "install",
            Self::Leases(_) => "leases",
            Self::Metrics(_) => "metrics",
            Self::Release(_) => "release",
            Self::Repair(_) => "repair",
            Self::Show(_) => "show",
            Self::Status(_) => "status",
            Self::Uninstall(_) => "uninstall",
            _ => return None,
        })
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well, or the work is done.
    Done,
    /// Faults were found.
    Faults,
}

/// The definition of the command line, from which completions and manual pages are generated.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, a mistake to standard error. The reader may have closed
            // the pipe.
            drop(error.print());
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let mut stdout = io::stdout().lock();
    let progress = cli.command.waits().and_then(Progress::of);
    let mut output = Output::new(&mut stdout, Terminal::of_stdout(), progress);
    let done = run(cli.command, &mut output);
    let unwritten = output.failure().map_or(Ok(()), |error| {
        Err(anyhow::Error::new(error).context("cannot write to standard output"))
    });
    match done.and_then(|done| unwritten.map(|()| done)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Faults) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("twill: {}", visible(&in_words(&error)));
            ExitCode::from(2)
        }
    }
}

fn run(command: Command, output: &mut Output<'_>) -> Result<Outcome> {
    match command {
        Command::Add(options) => add::run(&options, output),
        Command::Check(options) => check::run(&options, output),
        Command::Convert(options) => convert::run(&options, output),
        Command::Del(options) => del::run(&options, output),
        Command::Doctor(options) => doctor::run(&options, output),
        Command::Release(options) => release::run(&options, &Context::of_process(), output),
        Command::Repair(options) => repair::run(&options, &Context::of_process(), output),
        #[cfg(feature = "db")]
        Command::Reserve(options) => reserve::run(&options, output),
        Command::Gc(options) => gc::run(&options, &Context::of_process(), output),
        Command::Install(options) => install::run(&options, output),
        Command::Leases(options) => leases::run(&options, output),
        Command::Metrics(options) => metrics::run(&options, output),
        Command::Render(options) => render::run(&options, output),
        Command::Show(options) => show::run(&options, output),
        Command::Status(options) => status::run(&options, output),
        Command::Uninstall(options) => uninstall::run(&options, output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn mistakes_are_explained() {
        for (words, message) in [
            (
                &["convert", "db"][..],
                "required arguments were not provided",
            ),
            (&["conwert", "db", "x"], "unrecognized subcommand 'conwert'"),
            (
                &["convert", "etcd", "x"],
                "'etcd' for '<BACKEND>': neither \"disk\" nor \"db\"",
            ),
            (
                &["convert", "db", "../x"],
                "\"../x\" has invalid characters",
            ),
            (&["convert", "--force"], "unexpected argument '--force'"),
        ] {
            let words = ["twill"].iter().chain(words);
            let error = Cli::try_parse_from(words).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
