//! What the operator's commands print about a node.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and prints how long something took"
)]

mod broken;
mod database;
mod elsewhere;
mod exposition;
mod go;
mod healthy;
mod json;
mod many;
mod render;
mod site;
mod statuses;
mod terminal;
