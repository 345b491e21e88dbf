//! The plugin shares the node's bridges, addresses, routes and settings with operators and other
//! programs.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod advertisements;
mod bridge;
mod forwarding;
mod ipv6_off;
mod own_address;
