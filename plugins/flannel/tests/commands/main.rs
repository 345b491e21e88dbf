//! What flannel does for each command, with a delegate that tells what it was asked and does what it is told.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/desk.rs"]
mod desk;

mod added;
mod at_once;
mod broken;
mod failed;
mod go_state;
mod replayed;
mod versions;
