//! One suite for two implementations: each case runs against this workspace's `host-local` and
//! against the Go plugin, and after every call their answers and their data directories must be the
//! same, but for differences that are listed with a reason. A listed difference that is none any
//! more fails the run.
//!
//! Not compared are the codes and texts of errors (the Go plugin has one code for everything; only
//! texts that tools look for must be in both) and the modes of files (those of its older versions
//! are readable by everybody).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

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
