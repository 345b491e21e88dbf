//! What only ours does: subnets, CHECK of everything that can be missing, GC, STATUS, kills, and
//! what the Go plugin has left.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

#[path = "../support/mod.rs"]
mod support;

mod collection;
mod damage;
mod go;
mod kill;
mod marked;
mod quiet;
mod subnets;
