//! Fuzzing: each target takes bytes, hands them to the plugins as one kind of input, and says what is wrong with the
//! answers. It works with the stable toolchain, without instrumentation: instead of the code that an input reaches, the
//! answers tell which inputs are worth going on from.
//!
//! ```console
//! # cargo run -p fuzz -- --for 60s                                # all targets, a minute in all
//! # cargo run -p fuzz --profile fuzz -- host-local-conf --for 2h  # one target, optimized
//! # cargo run -p fuzz -- host-local-conf --input FILE             # one input again
//! ```
//!
//! The plugins run in this process, on a node of its own and in a folder that they cannot leave; this needs root.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints"
)]

mod answer;
mod corpus;
mod hunt;
mod jail;
mod mutation;
mod targets;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::hunt::Hunt;
use crate::targets::Target;

#[derive(Parser)]
#[command(about = "Feed the plugins with input that nobody thought of (needs root)")]
struct Cli {
    /// What to feed (all, unless some are named)
    #[arg(value_enum)]
    targets: Vec<Target>,
    /// For how long, in all, such as 90s or 2h
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// The start of the random numbers, to have the same inputs again
    #[arg(long)]
    seed: Option<u64>,
    /// Feed only this file, to the one target that is named
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if nothing wrong was found.
fn run(cli: &Cli) -> Result<bool> {
    let targets = match cli.targets.as_slice() {
        [] => <Target as clap::ValueEnum>::value_variants(),
        named => named,
    };
    if let Some(file) = &cli.input {
        ensure!(targets.len() == 1, "--input needs one target to be named");
        let input = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        return targets.iter().try_fold(true, |well, target| {
            Ok(hunt::replay(*target, input.clone())? && well)
        });
    }
    let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..));
    let share = cli.time / u32::try_from(targets.len())?;
    println!("seed {seed}");
    let mut well = true;
    for target in targets {
        let hunt = Hunt {
            target: *target,
            time: share,
            seed,
        };
        well &= hunt.run()?;
    }
    Ok(well)
}
