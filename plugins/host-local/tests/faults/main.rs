//! Each system call of an ADD and of a DEL, one after the other, is the last before a kill, or
//! fails. After each the audit: no address is lost, none is given twice, nothing blocks one, and
//! what was not reported as a success is undone.

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
