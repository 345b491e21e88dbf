//! Assertions on both macvlan and ipvlan.

mod altname;
mod check;
mod deletion;
mod differences;
mod failed_add;
mod many_routes;
mod newer;
pub(crate) mod refused;
mod removal;
mod results;
mod traffic;
