//! Packets for mapped ports arrive where they should, from whatever client, with the right source.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod conditions;
mod connections;
mod displaced;
mod guard;
mod matrix;
mod sctp;
mod services;
mod storm;
