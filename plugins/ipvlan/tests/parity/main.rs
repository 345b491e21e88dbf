//! What is special about ipvlan, with this workspace's plugins and with Debian's, on nodes of their
//! own; what holds for macvlan too is in `crates/sub-interface/tests`. A kernel without the module
//! `ipvlan` can only run what comes before the link is created (`refused_chain`, `no_module`).

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod chain;
mod modes;
mod no_module;
mod refused_chain;
mod side;
