//! One suite for two implementations: each assertion runs with this workspace's ipvlan and
//! host-local, and with Debian's, on nodes of their own. `TWILL_UNDER_TEST=ours` or `=reference`
//! chooses one side. A kernel without the module `ipvlan` can only run tests of calls that fail
//! before the link is created (`refused`, `refused_chain`); the others are skipped. `common`,
//! beside macvlan's tests, has the assertions for both plugins.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

#[path = "../../../macvlan/tests/common/mod.rs"]
mod common;
#[path = "../../../macvlan/tests/support/mod.rs"]
mod support;

mod chain;
mod modes;
mod no_module;
mod refused_chain;

/// The plugin under test.
const PLUGIN: &str = "ipvlan";
const DEFAULT_MODE: &str = "l2";
const OTHER_MODE: &str = "l3";
