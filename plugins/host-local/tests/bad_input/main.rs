//! Bad input of every kind gets one JSON error that names the variable, key or file, and changes
//! nothing on disk.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

mod configuration;
#[path = "../support/directory.rs"]
mod directory;
mod disk;
mod environment;
mod network;
mod random;
mod requests;
mod stdin;
