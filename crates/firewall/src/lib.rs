//! The edge to netfilter: containers whose traffic leaves with the node's address, and ports of a bridge that only one
//! Ethernet address may send from.
//!
//! [`Nftables`] talks to the kernel itself, in tables of its own. Their rules are made once; what comes and goes with a
//! container are elements of sets, so neither an ADD nor a packet takes longer where there are many containers. A map
//! in each table says whose the elements are, so that a DEL, which knows nothing but the attachment, finds them by one
//! look. [`Iptables`] does what the Go plugins do, with their programs and under their names. [`remove`] and [`collect`] find
//! what an attachment has, whatever has made it.
//!
//! Everything happens in the network namespace that the calling thread is in: the node's.

mod all;
mod attributes;
mod backend;
mod check;
mod element;
mod error;
mod expression;
mod frame;
mod go;
mod holding;
mod iptables;
mod meaning;
mod nftables;
mod owner;
mod repair;
mod rule;
mod step;
mod survey;
mod table;

pub use all::{collect, missing_mac_check, missing_masquerading, remove};
pub use backend::{Backend, UnknownBackend};
pub use check::Missing;
pub use error::FirewallError;
pub use iptables::Iptables;
pub use nftables::Nftables;
