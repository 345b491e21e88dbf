//! `twill doctor` and `twill repair`: each fault is seeded, found by its name, mended, and found no
//! more.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod addresses;
mod bridge;
mod files;
mod go;
mod output;
mod rules;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod ward;
