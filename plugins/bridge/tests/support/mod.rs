//! What the tests of bridge share.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test binary uses a part of it"
)]

pub(crate) mod conf;
pub(crate) mod lab;
pub(crate) mod links;
pub(crate) mod outside;
pub(crate) mod side;
pub(crate) mod snapshot;
pub(crate) mod traffic;
