//! `cargo xtask`: builds the plugins, or has cargo build and run the tool that is asked for.
//!
//! Most people run this once, to install the plugins, so it depends on little.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and reads its arguments"
)]

use std::env::ArgsOs;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use xtask::command::Show;
use xtask::dist;
use xtask::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  dist             Build the plugins for release, statically linked, into target/cni
  dist --target NAME|all
                   Build an archive for x86_64, x86, aarch64, arm, riscv64, powerpc64le or s390x,
                   or for all of them, into target/release-archives, with SHA256SUMS
  dist --release   Also make packages for Debian and for rpm, an image and SBOMs
  demo             Attach and detach two containers on a node of its own (needs root)
  test [PART...]   Check everything, or these parts
  bench SUBJECT    Measure what calls cost; tables and a plot go to target/bench

`cargo xtask COMMAND --help` lists the options of dist, demo, test and bench.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let command = arguments.nth(1).unwrap_or_default();
    let done = match command.to_str() {
        Some("dist") if arguments.len() == 0 => build(),
        Some("dist") => become_tool("packaging", arguments),
        Some(tool @ ("demo" | "bench")) => become_tool(tool, arguments),
        Some("test") => become_tool("suite", arguments),
        Some("" | "help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let workspace = Workspace::find()?;
    let bytes = dist::build(&workspace, Show::Always)?;
    print!("{}", dist::table(&workspace, bytes)?);
    Ok(())
}

/// Replaces this process by cargo, and that is replaced by the tool.
fn become_tool(package: &str, arguments: ArgsOs) -> Result<()> {
    let error = Workspace::find()?.run(package).args(arguments).exec();
    Err(error).context("cannot run cargo")
}
