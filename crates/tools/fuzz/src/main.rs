//! Fuzzing: each target takes bytes, hands them to the plugins as one kind of input, and says what
//! is wrong with the answers. It works with the stable toolchain, without instrumentation: instead
//! of the code that an input reaches, the answers show which inputs are worth going on from.
//!
//! ```console
//! # cargo run -p fuzz -- --for 60s                                # all targets, a minute in all
//! # cargo run -p fuzz --profile fuzz -- host-local-conf --for 2h  # one target, optimized
//! # cargo run -p fuzz -- host-local-conf --input FILE             # one input again
//! ```
//!
//! The plugins run in this process, on a node of its own and in a directory that they cannot leave;
//! this needs root.

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
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use lexopt::{Arg, Parser, ValueExt};

use crate::hunt::Hunt;
use crate::targets::Target;

const USAGE: &str = "\
usage: fuzz [TARGET...] [OPTIONS]

Feeds the plugins with random input (needs root): all targets, unless some are named.

  --for TIME     for how long, in all, such as 90s or 2h [default: 60s]
  --seed N       the start of the random numbers, to have the same inputs again
  --input FILE   feed only this file, to the one target that is named

targets:
";

fn main() -> ExitCode {
    match parse_and_run(Parser::from_env()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if nothing wrong was found.
fn parse_and_run(mut parser: Parser) -> Result<bool> {
    let (mut time, mut seed, mut input) = (Duration::from_secs(60), None, None);
    let mut targets = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                for target in Target::ALL {
                    println!("  {:<16} {}", target.name(), target.about());
                }
                return Ok(true);
            }
            Arg::Long("for") => time = parser.value()?.parse_with(humantime::parse_duration)?,
            Arg::Long("seed") => seed = Some(parser.value()?.parse()?),
            Arg::Long("input") => input = Some(parser.value()?),
            Arg::Value(name) => {
                let name = name.string()?;
                let target = Target::ALL.into_iter().find(|target| target.name() == name);
                targets.push(target.with_context(|| format!("there is no target `{name}`"))?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(file) = &input {
        let [target] = targets.as_slice() else {
            anyhow::bail!("--input needs one target to be named");
        };
        let input = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        return hunt::replay(*target, input);
    }
    if targets.is_empty() {
        targets.extend(Target::ALL);
    }
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let share = time / u32::try_from(targets.len())?;
    println!("seed {seed}");
    let mut well = true;
    for target in targets {
        let hunt = Hunt {
            target,
            time: share,
            seed,
        };
        well &= hunt.run()?;
    }
    Ok(well)
}
