//! One suite for two implementations: each case runs with this workspace's `host-local` and with
//! the Go plugin. After every call, their answers and data directories must be equal, except for
//! differences that are listed with a reason. A listed difference that no longer exists fails the
//! run. The suite does not compare codes and texts of errors (the Go plugin has one code for
//! everything; both must have the texts that tools look for) nor modes of files (older Go plugins
//! create them readable for all users).

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod args;
mod case;
mod differences;
#[path = "../support/directory.rs"]
mod directory;
mod lifecycle;
mod ranges;
mod refused;
mod requested;
mod results;
mod run;
mod runtime_config;
mod shared_directory;
mod syntax;
