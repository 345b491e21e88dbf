//! A failed ADD leaves nothing: links, addresses, rules, settings and IPAM's addresses are as
//! before. Ours only: the Go plugin leaves most of them.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod bridge;
mod others;
mod undo;
