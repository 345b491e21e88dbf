//! What only ours does: subnets, CHECK of everything that can be missing, GC, STATUS, kills, and
//! what the Go plugin has left.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod collection;
mod damage;
mod go;
mod kill;
mod marked;
mod quiet;
mod subnets;
