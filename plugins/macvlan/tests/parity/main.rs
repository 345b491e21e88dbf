//! What is special about macvlan, with this workspace's plugins and with Debian's, on nodes of
//! their own; what holds for ipvlan too is in `crates/sub-interface/tests`.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod layer2;
mod mac;
mod modes;
mod side;
