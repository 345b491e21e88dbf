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
use std::slice;

use anyhow::{Context, Result, bail};
use xtask::architecture::{self, Architecture};
use xtask::command::Show;
use xtask::workspace::Workspace;
use xtask::{archive, dist};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  dist             Build the plugins for release, statically linked, into target/cni
  dist --target NAME|all
                   Build an archive for x86_64, x86, aarch64, arm, riscv64, powerpc64le or s390x,
                   or for all of them, into target/release-archives, with SHA256SUMS
  demo             Attach and detach two containers on a node of its own (needs root)
  test [PART...]   Check everything, or these parts
  bench SUBJECT    Measure what calls cost; tables and a plot go to target/bench

`cargo xtask COMMAND --help` lists the options of demo, test and bench.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let command = arguments.nth(1).unwrap_or_default();
    let done = match command.to_str() {
        Some("dist") => build(arguments),
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

fn build(arguments: ArgsOs) -> Result<()> {
    let arguments: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = Workspace::find()?;
    match words[..] {
        [] => {
            let bytes = dist::build(&workspace, Show::Always)?;
            print!("{}", dist::table(&workspace, bytes)?);
            Ok(())
        }
        ["--target", "all"] => build_archives(&workspace),
        ["--target", name] => {
            let known = architecture::ALL.map(|it| it.name).join(", ");
            let architecture = Architecture::named(name)
                .with_context(|| format!("{name} is neither `all` nor one of {known}"))?;
            let archive = dist::archive(&workspace, architecture, Show::Always)?;
            archive::write_sums(&workspace.release_dir(), slice::from_ref(&archive))?;
            println!("{}", archive.display());
            Ok(())
        }
        _ => bail!(
            "`dist` takes no arguments but --target NAME: {}",
            words.join(" ")
        ),
    }
}

/// Builds the archives of all architectures that this machine can build for, and says why it cannot
/// build the others.
fn build_archives(workspace: &Workspace) -> Result<()> {
    let mut archives = Vec::new();
    for architecture in &architecture::ALL {
        match dist::archive(workspace, architecture, Show::Always) {
            Ok(archive) => {
                println!("{}: {}", architecture.name, archive.display());
                archives.push(archive);
            }
            Err(error) => println!("{}: not built: {error:#}", architecture.name),
        }
    }
    archive::write_sums(&workspace.release_dir(), &archives)
}

/// Replaces this process by cargo, and that is replaced by the tool.
fn become_tool(package: &str, arguments: ArgsOs) -> Result<()> {
    let error = Workspace::find()?.run(package).args(arguments).exec();
    Err(error).context("cannot run cargo")
}
