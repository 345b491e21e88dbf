//! The plugin shares the node's bridges, addresses, routes and settings with operators and other
//! programs.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod advertisements;
mod bridge;
mod forwarding;
mod ipv6_off;
mod own_address;
