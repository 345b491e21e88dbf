//! One suite for two implementations: each assertion runs with this workspace's macvlan and
//! host-local, and with Debian's, on nodes of their own. `TWILL_UNDER_TEST=ours` or `=reference`
//! chooses one side. `differences` asserts both behaviours where they differ, so that a difference
//! that vanishes fails the run. `newer` has features that came after the Go plugin 1.1.1, for ours
//! alone.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod layer2;
mod mac;
mod modes;

/// The plugin under test.
const PLUGIN: &str = "macvlan";
const DEFAULT_MODE: &str = "bridge";
const OTHER_MODE: &str = "private";
