//! Two nodes of one network with their own leases, connected as flanneld connects them. Packets
//! between their containers arrive at the size that the lease allows, with the containers' own
//! addresses.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "one node alone has more to look at")]
#[path = "../support/lab.rs"]
mod lab;

mod backend;
mod cluster;
mod crossing;
mod lease;
mod reach;
