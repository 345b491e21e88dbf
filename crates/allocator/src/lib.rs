//! Hands out a node's addresses.
//!
//! What may be given is a list of [`RangeSet`]s, valid once they exist. Which address of a set
//! comes next is policy, and pure: [`RangeSet::candidates`]. What is given already, and to whom, is
//! in a [`Store`]: one network's state, held under one lock for as long as the store exists.
//! [`allocate`] brings the three together: one address of each set, or none.

mod allocate;
mod convert;
mod db;
mod disk;
mod first;
mod garbage;
mod leases;
#[cfg(test)]
mod model;
mod owner;
mod range;
mod range_set;
mod span;
mod store;

pub use allocate::{
    AllocateError, Allocation, Demand, Reclaim, SetError, allocate, allocate_in, exhausted,
};
pub use convert::{TransferError, transfer};
pub use db::{
    ContainerAddresses, ContainerError, Database, DbError, NetworkRequest, NetworkStore,
    Transaction, allocate_container, lookup_container, release_container,
};
pub use disk::{DiskStore, NetworkDir};
pub use first::First;
pub use garbage::{Collected, collect_garbage};
pub use leases::{DEFAULT_DATA_DIR, Leases};
pub use owner::Owner;
pub use range::{Range, RangeError, RangeSpec};
pub use range_set::{RangeSet, RangeSetError, RangeSets, RangeSetsError};
pub use span::{Span, Spans};
pub use store::{Age, Held, Holding, SetKey, Store};
