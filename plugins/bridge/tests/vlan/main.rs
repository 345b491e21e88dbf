//! VLANs on a bridge, with both plugins and real traffic. Without a kernel that filters VLANs on
//! bridges (`CONFIG_BRIDGE_VLAN_FILTERING`), every test is reported as skipped. `bad_input` has the
//! assertions for all kernels.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod operators;
mod ports;
mod trunk;
