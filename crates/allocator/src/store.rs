//! What the allocation policy needs of a store.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni_types::{Attachment, ValidAttachments};

use crate::{Owner, RangeSet};

/// What one network has given, and to whom: one transaction on it, under one lock from the making
/// of the store to its end, so that no two operations on a network ever mix.
///
/// What was given counts once it is committed. A store that is dropped before that, or whose
/// process is killed, has given nothing.
pub trait Store {
    /// What can go wrong with it.
    type Error;

    /// The address that a range set has given last. It is a hint: nothing depends on it but the
    /// order in which addresses come up.
    fn last_given(&mut self, set: SetKey<'_>) -> Result<Option<IpAddr>, Self::Error>;

    /// The addresses that an attachment holds. Where older versions noted only the container, and
    /// nothing is known of the attachment itself, those of the container.
    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<Held>, Self::Error>;

    /// Who holds an address; `None` if nobody does.
    fn holding(&mut self, address: IpAddr) -> Result<Option<Holding>, Self::Error>;

    /// Whether [`Store::reserve`] would give an address. Something that is nobody's note may block
    /// one that nobody holds.
    fn is_free(&mut self, address: IpAddr) -> Result<bool, Self::Error>;

    /// Finds out whether [`Store::reserve`] can give any address.
    fn check_reserve(&mut self) -> Result<(), Self::Error>;

    /// Every address that somebody holds, in no order.
    fn all(&mut self) -> Result<Vec<Held>, Self::Error>;

    /// The addresses whose owners are no valid attachments any more ([`Owner::is_valid`]), in no
    /// order. There may be others among them, so who releases an address looks at its owner first.
    fn held_by_invalid(&mut self, valid: &ValidAttachments) -> Result<Vec<IpAddr>, Self::Error>;

    /// Gives an address to an attachment and notes it as the set's last, if nobody holds it; tells
    /// whether it did.
    fn reserve(
        &mut self,
        address: IpAddr,
        attachment: &Attachment,
        set: SetKey<'_>,
    ) -> Result<bool, Self::Error>;

    /// Notes who holds an address, as another store has it, unless somebody holds it here; tells
    /// whether it did.
    fn adopt(&mut self, address: IpAddr, holding: &Holding) -> Result<bool, Self::Error>;

    /// The addresses that range sets have given last, by the sets' places in the list.
    fn all_last_given(&mut self) -> Result<BTreeMap<usize, IpAddr>, Self::Error>;

    /// Notes an address as the one that a range set, by its place in the list, has given last.
    fn adopt_last_given(&mut self, index: usize, address: IpAddr) -> Result<(), Self::Error>;

    /// Takes an address back from whoever holds it; it is no error if nobody does.
    fn release(&mut self, address: IpAddr) -> Result<(), Self::Error>;

    /// Makes what was given count.
    fn commit(self) -> Result<(), Self::Error>;
}

/// Which range set of a network something is about.
#[derive(Clone, Copy, Debug)]
pub struct SetKey<'a> {
    /// Its place in the list.
    pub index: usize,
    /// The set.
    pub set: &'a RangeSet,
}

/// When an address was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// Since the kernel started, or nobody knows: the container may be running.
    ThisBoot,
    /// Before the kernel started: the container cannot be running.
    EarlierBoot,
}

/// An address that somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The address.
    pub address: IpAddr,
    /// When it was given.
    pub age: Age,
}

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The holder.
    pub owner: Owner,
    /// When it was given.
    pub age: Age,
}
