//! The commands, a module each.

pub(crate) mod add;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod del;
pub(crate) mod doctor;
pub(crate) mod gc;
pub(crate) mod install;
pub(crate) mod leases;
pub(crate) mod metrics;
pub(crate) mod network_gc;
pub(crate) mod network_status;
pub(crate) mod release;
pub(crate) mod render;
pub(crate) mod repair;
#[cfg(feature = "db")]
pub(crate) mod reserve;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod uninstall;
