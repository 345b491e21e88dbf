//! Bad input of every kind gets one JSON error that names the variable, key or file, and changes
//! nothing on disk.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod configuration;
#[path = "../support/directory.rs"]
mod directory;
mod disk;
mod environment;
mod network;
mod random;
mod requests;
mod stdin;
