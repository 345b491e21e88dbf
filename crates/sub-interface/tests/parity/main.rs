//! One suite for two plugins and two implementations: each assertion runs with ipvlan and with
//! macvlan, of this workspace and of Debian's, on nodes of their own. `TWILL_UNDER_TEST=ours` or
//! `=reference` selects one side.
//!
//! Where ours does otherwise than the Go plugins, both are asserted (`differences`), so that a
//! difference that vanishes fails the run. What came after the Go plugins 1.1.1 is asserted of ours
//! alone (`newer`). A kernel without the module `ipvlan` can only run what comes before that link
//! is created (`refused`); the rest is skipped.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod altname;
mod check;
mod deletion;
mod differences;
mod failed_add;
mod many_routes;
mod newer;
mod refused;
mod removal;
mod results;
mod side;
mod traffic;
