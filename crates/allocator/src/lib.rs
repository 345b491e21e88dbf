//! Hands out a node's addresses.
//!
//! - **Which addresses may be given** is a list of [`RangeSet`]s, which are valid once they exist.
//! - **Which of them comes next** is policy: [`RangeSet::candidates`] has the order, which is pure,
//!   and [`allocate`] takes the first free candidate of each set.
//! - **Who holds which address** is in a [`Store`]: a transaction on one network, under the
//!   network's lock. A [`Location`] says where the network is, and opens it. The two stores are
//!   `disk`, the Go plugin's files, and `db`, a database, which is behind the feature `db`.
//!
//! An ADD opens the network, begins, allocates and commits; `examples/attachment.rs` does that.

mod allocate;
mod convert;
#[cfg(feature = "db")]
mod db;
#[cfg(not(feature = "db"))]
#[path = "no_db.rs"]
mod db;
mod derived;
mod disk;
mod error;
mod first;
mod garbage;
mod leases;
mod location;
#[cfg(test)]
mod model;
mod owner;
mod range;
mod range_set;
mod records;
mod span;
mod store;

pub use allocate::{AllocateError, Allocation, Demand, Reclaim, SetError, allocate, exhausted};
pub use convert::{ConvertError, convert};
pub use db::read_database;
#[cfg(feature = "db")]
pub use db::{
    ContainerAddresses, ContainerError, Database, DbStore, NetworkRequest, Transaction,
    allocate_container, lookup_container, release_container,
};
pub use derived::remove_derived;
pub use error::StoreError;
pub use first::First;
pub use garbage::{Collected, collect_garbage};
pub use leases::Leases;
pub use location::{
    DEFAULT_DATA_DIR, DEFAULT_LOCK_TIMEOUT, Location, OpenNetwork, StoreKind, UnknownStoreKind,
};
pub use owner::Owner;
pub use range::{Range, RangeError, RangeSpec};
pub use range_set::{RangeSet, RangeSetError, RangeSets, RangeSetsError};
pub use records::{
    Record, Records, Unowned, lacking_in_index, networks_in_files, read_file, read_files,
};
pub use span::{Span, Spans};
pub use store::{Age, HeldAddress, Lease, SetKey, Store};
