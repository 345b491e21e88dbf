//! The plugin as a runtime calls it: each command, each version, faults and kills.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod chained;
mod faults;
mod growth;
mod parity;
