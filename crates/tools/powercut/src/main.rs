//! Power cuts: a virtual machine attaches and detaches containers as fast as it can, loses its power at a random instant,
//! and boots again from the same disk. Then all must be as `guest/audit.rs` has it.
//!
//! ```console
//! # cargo xtask test powercut --cuts 500
//! ```
//!
//! The program runs on both sides: here, where it switches the machine on and off ([`host`]), and in the machine
//! ([`guest`]), which tells by lines on its console what it does ([`event`]). From these it is known here what the disk must
//! have.

#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and in the machine a panic is how a failure is told"
)]

mod attachment;
mod event;
mod guest;
mod host;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Cut the power of a machine while its plugins work, and look what is left")]
struct Cli {
    #[command(subcommand)]
    side: Side,
}

#[derive(Subcommand)]
enum Side {
    /// Boot a machine, cut its power, and boot it again from its disk
    Host(host::Plan),
    /// What the machine does: look at what the cut has left, then work until the next one
    Guest(guest::Task),
}

fn main() -> ExitCode {
    let done = match Cli::parse().side {
        Side::Host(plan) => host::run(&plan),
        Side::Guest(task) => guest::run(&task),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
