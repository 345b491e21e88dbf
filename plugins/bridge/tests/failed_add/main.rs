//! A failed ADD leaves nothing: links, addresses, rules, settings and IPAM's addresses are as
//! before. Ours only: the Go plugin leaves most of them.

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
mod bridge;
mod others;
mod undo;
