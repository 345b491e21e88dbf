//! What is special about macvlan, with this workspace's plugins and with Debian's, on nodes of
//! their own; what holds for ipvlan too is in `crates/sub-interface/tests`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the functions beside the tests are for tests too"
)]

mod layer2;
mod mac;
mod modes;
mod side;
