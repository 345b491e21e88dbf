//! Invalid input gets one error that names the key and the value, and changes nothing. For Debian's
//! plugin, the tests only assert whether it fails too: `TWILL_UNDER_TEST=ours` and `=reference`
//! select one side. An input that only ours refuses is a known difference.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

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
