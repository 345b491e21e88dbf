//! Faults in each system call of an ADD and of a DEL in turn: a kill, or a failure. An audit
//! follows each: no address is lost, blocked or allocated twice, and an operation without a
//! reported success is rolled back.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper functions fail by panicking"
)]

mod every_call;
mod journal;
mod network;
