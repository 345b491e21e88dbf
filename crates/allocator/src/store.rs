//! The store that the allocation policy works on: one transaction on one network's addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni_types::{Attachment, ValidAttachments};

use crate::{Owner, RangeSet, StoreError};

/// A transaction on the addresses of one network.
///
/// A store holds the network's lock from [`OpenNetwork::begin`](crate::OpenNetwork::begin) until it
/// is committed or dropped, so no two operations on a network ever mix. Its changes take effect
/// when it is committed: a store that is dropped before that, or whose process is killed, has given
/// no address.
///
/// # Errors
/// Every method fails with a [`StoreError`] if the files or the database cannot be read or changed.
#[expect(
    clippy::missing_errors_doc,
    reason = "one section is about all methods"
)]
pub trait Store {
    /// The address that a range set gave last. It affects only the allocation order.
    fn last_given(&mut self, set: SetKey<'_>) -> Result<Option<IpAddr>, StoreError>;

    /// The addresses that an attachment holds. If there are none, those that older versions
    /// recorded for the container, without an interface.
    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<HeldAddress>, StoreError>;

    /// The lease of an address; `None` if nobody holds the address.
    fn lease(&mut self, address: IpAddr) -> Result<Option<Lease>, StoreError>;

    /// Whether [`Store::reserve`] would give an address. A file that records no owner can block an
    /// address that nobody holds.
    fn is_free(&mut self, address: IpAddr) -> Result<bool, StoreError>;

    /// Checks that [`Store::reserve`] can give any address at all.
    fn check_reserve(&mut self) -> Result<(), StoreError>;

    /// Every address that somebody holds, unordered.
    fn all(&mut self) -> Result<Vec<HeldAddress>, StoreError>;

    /// The addresses whose owners are not valid any more ([`Owner::is_valid`]), unordered. Some
    /// addresses of valid owners may be among them, so the caller has to check the lease before it
    /// releases an address.
    fn held_by_invalid(&mut self, valid: &ValidAttachments) -> Result<Vec<IpAddr>, StoreError>;

    /// Gives an address to an attachment, and records it as the last one of its range set. Returns
    /// false if the address is not free.
    fn reserve(
        &mut self,
        address: IpAddr,
        attachment: &Attachment,
        set: SetKey<'_>,
    ) -> Result<bool, StoreError>;

    /// Releases an address, whoever holds it.
    fn release(&mut self, address: IpAddr) -> Result<(), StoreError>;

    /// Records a lease of another store. Returns false if the address is not free.
    fn adopt(&mut self, lease: &Lease) -> Result<bool, StoreError>;

    /// The address that each range set gave last, by the set's index.
    fn all_last_given(&mut self) -> Result<BTreeMap<usize, IpAddr>, StoreError>;

    /// Records an address as the last one of the range set with this index.
    fn adopt_last_given(&mut self, index: usize, address: IpAddr) -> Result<(), StoreError>;

    /// Commits the changes and releases the lock.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// A range set of a network, and its index in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct SetKey<'a> {
    /// The index in the list of range sets.
    pub index: usize,
    /// The range set.
    pub set: &'a RangeSet,
}

/// The boot in which an address was given, seen from the running one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// The running boot, or an unknown one: the container may be running.
    ThisBoot,
    /// An earlier boot: the container cannot be running.
    EarlierBoot,
}

/// An address that somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldAddress {
    /// The address.
    pub address: IpAddr,
    /// The boot in which it was given.
    pub age: Age,
}

/// An address and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// The attachment that holds it.
    pub owner: Owner,
    /// The boot in which it was given.
    pub age: Age,
}
