//! The project's own commands: `cargo xtask dist`, `demo`, `test` and `bench`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and reads the environment that cargo and CI set"
)]

mod bench;
mod command;
mod demo;
mod dist;
mod packages;
mod platform;
mod snapshot;
mod terminal;
mod test;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bench::{Extent, Subject};
use crate::command::Show;
use crate::terminal::Terminal;
use crate::test::Part;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The project's own commands",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the plugins for release, statically linked, into target/cni
    Dist,
    /// Attach and detach two containers on a node of its own (needs root)
    Demo {
        /// The plugin that flannel delegates to
        #[arg(long, value_enum, default_value_t = demo::Delegate::Bridge)]
        delegate: demo::Delegate,
        /// Leave the node and the containers up, and tell how to look at and remove them
        #[arg(long)]
        keep: bool,
        /// Take the plugins in this folder instead of building them
        #[arg(long, value_name = "DIR")]
        plugins: Option<PathBuf>,
    },
    /// Check everything: format, lints, tests, the demo, documentation, and that nothing is left
    Test {
        /// Run only these parts (all, unless some are named)
        #[arg(value_enum)]
        parts: Vec<Part>,
        /// How often the part `powercut` cuts the power [default: 5]; it then tells of each cut
        #[arg(long, value_name = "N")]
        cuts: Option<u32>,
    },
    /// Measure what calls cost; tables and a plot go to target/bench
    Bench {
        /// What to measure
        #[arg(value_enum)]
        subject: Subject,
        /// Measure less, in less than 40 seconds
        #[arg(long)]
        quick: bool,
        /// Keep the plugins' state on the file system of this folder [default: the target folder's]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<bool> {
    let workspace = Workspace::find()?;
    match task {
        Task::Dist => {
            let bytes = dist::build(&workspace, Show::Always)?;
            print!("{}", dist::table(bytes, &workspace.dist_dir()));
            Ok(true)
        }
        Task::Demo {
            delegate,
            keep,
            plugins,
        } => {
            demo::require_root()?;
            packages::install_missing(packages::OF_DEMO)?;
            let plugins = match plugins {
                Some(folder) => folder.canonicalize()?,
                None => {
                    dist::build(&workspace, Show::Always)?;
                    workspace.dist_dir()
                }
            };
            Ok(demo::run(&mut Terminal::stdout(), &plugins, delegate, keep))
        }
        Task::Test { parts, cuts } => test::run(&workspace, &parts, cuts),
        Task::Bench {
            subject,
            quick,
            dir,
        } => {
            let extent = if quick { Extent::Quick } else { Extent::Full };
            bench::run(&workspace, subject, extent, dir.as_deref()).map(|()| true)
        }
    }
}
