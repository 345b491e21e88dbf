//! Feeds targets with random mutations of their corpus.

#![allow(clippy::print_stdout, reason = "a developer's command: it prints")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fuzz::mutation::Mutator;
use fuzz::targets::{TARGETS, Target};
use lexopt::{Arg, Parser, ValueExt};

const USAGE: &str = "\
usage: fuzz [TARGET...] [OPTIONS]

Feeds the plugins with random input (needs root): all targets, unless some are named.

  --for TIME     for how long, in all, such as 90s or 2h [default: 60s]
  --seed N       the start of the random numbers, to have the same inputs again
  --input FILE   feed only this file, to the one target that is named

crates/tools/fuzz/hunt.sh fuzzes a target with libFuzzer.

targets:
";

fn main() -> Result<()> {
    let (mut time, mut seed, mut input) = (Duration::from_secs(60), fastrand::u64(..), None);
    let mut targets = Vec::new();
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                for target in &TARGETS {
                    println!("  {:<16} {}", target.name, target.about);
                }
                return Ok(());
            }
            Arg::Long("for") => time = parser.value()?.parse_with(humantime::parse_duration)?,
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Long("input") => input = Some(PathBuf::from(parser.value()?)),
            Arg::Value(name) => targets.push(Target::find(&name.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(file) = input {
        let [target] = targets.as_slice() else {
            bail!("--input needs one target to be named")
        };
        let input = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        return target.feeder()(&input);
    }
    if targets.is_empty() {
        targets.extend(&TARGETS);
    }
    println!("seed {seed}");
    let share = time / u32::try_from(targets.len())?;
    let mut inputs = 0;
    for target in targets {
        inputs += feed(target, share, seed)?;
    }
    println!("{inputs} inputs");
    Ok(())
}

/// Feeds the corpus and mutations of it until the time is over, and returns how many inputs there
/// were; an error if a reply is wrong.
fn feed(target: &Target, time: Duration, seed: u64) -> Result<u32> {
    let Target { name, .. } = target;
    let corpus = target.corpus()?;
    let mut mutator = Mutator::new(corpus.clone(), seed)?;
    let feed = target.feeder();
    let (start, mut count) = (Instant::now(), 0);
    let mutations = std::iter::repeat_with(|| mutator.next_input());
    for input in corpus.into_iter().chain(mutations) {
        feed(&input).with_context(|| {
            let file = std::env::temp_dir().join(format!("twill-fuzz-{name}"));
            let kept = fs::write(&file, &input).map_or_else(
                |error| error.to_string(),
                |()| format!("cargo run -p fuzz -- {name} --input {}", file.display()),
            );
            format!("{name} with \"{}\", again: {kept}", input.escape_ascii())
        })?;
        count += 1;
        if start.elapsed() > time {
            break;
        }
    }
    println!(
        "{name:<16} {count:>8} inputs {:>6.0}/s",
        f64::from(count) / time.as_secs_f64()
    );
    Ok(count)
}
