//! One suite for two implementations: each assertion runs with this workspace's bridge and
//! host-local, and with Debian's, on nodes of their own. `TWILL_UNDER_TEST=ours` or `=reference`
//! chooses one side. `differences` asserts both behaviours where they differ, so that a difference
//! that vanishes fails the run. `newer` has features that came after the Go plugin 1.1.1, for ours
//! alone.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod bridge;
mod check;
mod collection;
mod deletion;
mod differences;
mod gateway;
mod healthy;
mod ipam;
mod layer2;
mod mac;
mod masquerade;
mod namespace;
mod neighbours;
mod newer;
mod on_link;
mod ports;
mod read_only;
mod results;
mod rules;
mod spoofing;
mod traffic;
