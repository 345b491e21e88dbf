//! VLANs on a bridge, with both plugins and real traffic. This needs a kernel that filters VLANs on
//! bridges (`CONFIG_BRIDGE_VLAN_FILTERING`); where it does not, every test is told as skipped. What
//! is asserted on all kernels is in `bad_input`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod operators;
mod ports;
mod trunk;
