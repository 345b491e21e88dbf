//! Power cuts: a virtual machine attaches and detaches containers as fast as it can, loses its
//! power at a random instant, and boots again from the same disk. Then all must be as
//! `guest/audit.rs` has it.
//!
//! ```console
//! # cargo xtask test powercut --cuts 500
//! ```
//!
//! The program runs on both sides: here, where it switches the machine on and off ([`host`]), and
//! in the machine ([`guest`]), which reports its work by lines on its console ([`event`]). From
//! these it is known here what the disk must have.

#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and in the machine a panic reports a failure"
)]

mod event;
mod guest;
mod host;

use anyhow::{Context, Result};
use lexopt::{Arg, Parser, ValueExt};

const USAGE: &str = "\
usage: powercut --plugins DIR --kernel DIR [--cuts N] [--seed N]

Boots a machine, cuts its power, and boots it again from its disk.

  --plugins DIR   the directory of the plugins
  --kernel DIR    the directory of the machine's kernel, which apt fetches if it is not there
  --cuts N        how often the power is cut [default: 5]
  --seed N        the start of the random numbers, to have the same choices again; what the machine
                  makes of them is never the same

usage: powercut guest

What the machine does: checks what the cut has left, then works until the next one.
";

fn main() -> Result<()> {
    let mut parser = Parser::from_env();
    let (mut plugins, mut kernel, mut cuts, mut seed) = (None, None, 5, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            Arg::Value(side) if side == "guest" => return guest::run(),
            Arg::Long("plugins") => plugins = Some(parser.value()?),
            Arg::Long("kernel") => kernel = Some(parser.value()?),
            Arg::Long("cuts") => cuts = parser.value()?.parse()?,
            Arg::Long("seed") => seed = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    host::run(&host::Options {
        plugins: plugins.context("--plugins is missing")?.into(),
        kernel: kernel.context("--kernel is missing")?.into(),
        cuts,
        seed: seed.unwrap_or_else(|| fastrand::u64(..)),
    })
}
