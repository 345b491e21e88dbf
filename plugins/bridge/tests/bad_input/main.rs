//! Bad input of every kind gets one error that names the key and the value, and everything is as
//! before.
//!
//! With Debian's plugin it is asserted whether it fails too, and no more: `TWILL_UNDER_TEST=ours`
//! and `=reference` choose one side. An input that it takes and ours refuses is a known difference.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod ipam;
mod keys;
mod mac;
mod names;
mod netns;
mod refusal;
mod rights;
mod vlans;
