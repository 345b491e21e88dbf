//! One suite for two implementations: each assertion runs with this workspace's bandwidth, and with
//! Debian's Go plugin 1.1.1. `TWILL_UNDER_TEST=ours` or `=reference` chooses one side. Where ours
//! does otherwise, both are asserted (`differences`).

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod differences;
mod limits;
mod refused;
mod traffic;
