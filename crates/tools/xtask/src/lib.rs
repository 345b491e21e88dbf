//! What the project's commands share: how the plugins are built, and how programs are run.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "for developers' commands: they print, and read the environment that cargo and CI set"
)]

pub mod architecture;
pub mod command;
pub mod dist;
pub mod packages;
pub mod platform;
pub mod terminal;
pub mod workspace;
