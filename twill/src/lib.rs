//! The operator's commands, which `twill` has under its own name.
//!
//! Each command has a module in `commands`, with its options, which clap parses, and a function
//! `run`, which writes to an `Output` and returns an `Outcome`. The exit status is 0 if all is
//! well or done, 1 if faults were found, and 2 if the command could not do its work.

mod age;
mod cli;
mod commands;
mod context;
mod error;
mod faults;
mod holdings;
mod lease_view;
mod network;
mod node_options;
mod output;
mod plugins;
mod progress;
mod states;
mod table;
mod terminal;

pub use cli::{command, main};
pub use plugins::PLUGINS;
