//! Packets for mapped ports arrive where they should, from whatever client, with the right source.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not know to be such"
)]

#[path = "../support/mod.rs"]
mod support;

mod conditions;
mod connections;
mod displaced;
mod guard;
mod matrix;
mod services;
mod storm;
