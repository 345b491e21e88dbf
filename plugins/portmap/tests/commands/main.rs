//! The plugin as a runtime calls it: each command, each version, faults and kills.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not know to be such"
)]

#[path = "../support/mod.rs"]
mod support;

mod chained;
mod faults;
mod growth;
mod parity;
