//! Whole chains: flannel and host-local under test, with our bridge or Debian's, on a node of their
//! own.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/lab.rs"]
mod lab;
#[path = "../support/lease.rs"]
mod lease;

mod attached;
mod circle;
mod deletion;
mod life;
mod mistaken;
mod parallel;
mod several;
mod traffic;
