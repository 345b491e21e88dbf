//! The pages that people read: each command runs, each configuration is accepted, each key exists.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod command_lines;
mod keys;
mod pages;
mod runs;
mod scene;
