//! What the tests of macvlan and ipvlan share. Their crate says which one it is about:
//! `crate::PLUGIN`.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test binary uses a part of it"
)]

pub(crate) mod conf;
pub(crate) mod container;
pub(crate) mod lab;
pub(crate) mod side;
pub(crate) mod snapshot;
