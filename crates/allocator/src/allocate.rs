//! Allocation policy: one address per range set for an attachment, or none at all.

use std::collections::HashSet;
use std::net::IpAddr;

use cni_types::{Attachment, ContainerId};
use ipnetwork::IpNetwork;

use crate::{
    Age, First, HeldAddress, Owner, Range, RangeSet, RangeSets, SetKey, Store, StoreError,
};

/// The number of candidates that are tried one by one before all addresses in use are read.
const PROBES: usize = 16;

/// The addresses that an attachment is to get.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The attachment.
    pub attachment: &'a Attachment,
    /// The range sets; the attachment gets one address of each.
    pub sets: &'a RangeSets,
    /// Requested addresses. A range set that contains one of these gives that one.
    pub requested: &'a [IpAddr],
    /// Whether addresses from before a reboot may be given again.
    pub reclaim: Reclaim,
}

/// Whether addresses that were given before a reboot may be given again. Their containers cannot be
/// running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reclaim {
    /// They are: if no other address is free, if one is requested, or to their own attachment.
    #[default]
    AfterReboot,
    /// They are not: only a DEL or GC releases them.
    Never,
}

/// An address that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The address, with its subnet's prefix length.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: IpAddr,
}

/// Why an attachment gets no addresses.
#[derive(Debug, thiserror::Error)]
pub enum AllocateError {
    /// A range set cannot give one.
    #[error("failed to allocate for range {index}: {reason}")]
    Set {
        /// The set's index in the list.
        index: usize,
        /// Why it cannot.
        reason: SetError,
    },
    /// Requested addresses that are in no range set, or not the first in theirs.
    #[error("failed to allocate all requested IPs: {}: each must be in a range set, and a set \
        gives one", First(.0, " "))]
    Unfulfilled(Vec<IpAddr>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a range set cannot give an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Every address is in use.
    #[error("no IP addresses available in range set: {set}")]
    Exhausted {
        /// The set.
        set: RangeSet,
        /// The number of its addresses that are in use.
        held: usize,
        /// The number of these that were given before a reboot.
        earlier: usize,
    },
    /// The attachment already holds one of the set.
    #[error(
        "{address} has been allocated to {container_id} already: a second ADD needs a DEL before it"
    )]
    Duplicate {
        /// The address that the attachment holds.
        address: IpAddr,
        /// The attachment's container.
        container_id: ContainerId,
    },
    /// The requested address is the gateway's.
    #[error("requested IP address {0} is the subnet's gateway")]
    Gateway(IpAddr),
    /// The requested address is excluded.
    #[error("requested IP address {0} is excluded")]
    Excluded(IpAddr),
    /// The requested address is not free.
    #[error("requested IP address {address} is not available in range set \
        {set}{}", by(.owner.as_deref()))]
    Taken {
        /// The requested address.
        address: IpAddr,
        /// The range set that contains the address.
        set: Box<RangeSet>,
        /// The owner; `None` if something else than an attachment blocks the address.
        owner: Option<Box<Owner>>,
    },
}

fn by(owner: Option<&Owner>) -> String {
    owner.map_or_else(String::new, |owner| {
        format!(": {} holds it", owner.in_words())
    })
}

/// Chooses one address of each range set for an attachment, and reserves them in the store. After
/// an error the store must not be committed: it may have reserved some of them.
///
/// # Errors
/// [`AllocateError`] if a range set has no address to give, if a requested one cannot be given, or
/// if the store fails.
pub fn allocate(
    store: &mut dyn Store,
    demand: &Demand<'_>,
) -> Result<Vec<Allocation>, AllocateError> {
    let wishes = assign(demand.sets, demand.requested).map_err(AllocateError::Unfulfilled)?;
    let held = store.held_by(demand.attachment)?;
    let keys = || {
        let sets = demand.sets.iter().enumerate();
        sets.map(|(index, set)| SetKey { index, set })
    };
    // All refusals that are known by now come before the first change.
    let before = keys()
        .map(|key| from_before_reboot(demand, key, &held))
        .collect::<Result<Vec<_>, _>>()?;

    let mut allocations = Vec::new();
    for ((key, wish), before) in keys().zip(wishes).zip(before) {
        if let Some(address) = before {
            store.release(address)?;
        }
        // After a reboot, an attachment gets its old address again, unless it requests another one
        // or the old one may not be given any more.
        let wish = wish.or(before.filter(|address| key.set.gives(*address)));
        let (address, range) = match wish {
            Some(address) => requested(store, demand, key, address)?,
            None => next_free(store, demand, key)?,
        };
        allocations.push(Allocation {
            // Cannot fail: the prefix comes from a subnet of the same family.
            address: IpNetwork::new(address, range.subnet().prefix())
                .unwrap_or_else(|_| address.into()),
            gateway: range.gateway(),
        });
    }
    Ok(allocations)
}

/// Looks for a range set that has no address to give. Returns why the first such set has none;
/// `None` if each set has one. Reserves nothing.
///
/// # Errors
/// [`StoreError`] if the store cannot be read, or could reserve no address.
pub fn exhausted(
    store: &mut dyn Store,
    sets: &RangeSets,
    reclaim: Reclaim,
) -> Result<Option<SetError>, StoreError> {
    store.check_reserve()?;
    for (index, set) in sets.iter().enumerate() {
        let key = SetKey { index, set };
        let found = search(store, key, reclaim, |store, address, age| match age {
            None => store.is_free(address),
            Some(_) => Ok(true),
        })?;
        if let Err(reason) = found {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

fn exhaustion(set: &RangeSet, all: &[HeldAddress]) -> SetError {
    let held = || all.iter().filter(|held| set.gives(held.address));
    SetError::Exhausted {
        set: set.clone(),
        held: held().count(),
        earlier: held().filter(|held| held.age == Age::EarlierBoot).count(),
    }
}

/// The requested address of each set, if it has one. Requested addresses that are in no set, or not
/// the first in theirs, are the error.
fn assign(sets: &RangeSets, requested: &[IpAddr]) -> Result<Vec<Option<IpAddr>>, Vec<IpAddr>> {
    let mut wishes: Vec<Option<IpAddr>> = sets.iter().map(|_| None).collect();
    let mut seen = HashSet::new();
    let mut rest = Vec::new();
    for address in requested.iter().filter(|address| seen.insert(**address)) {
        let mut both = sets.iter().zip(&mut wishes);
        match both.find(|(set, _)| set.range_of(*address).is_some()) {
            Some((_, wish @ None)) => *wish = Some(*address),
            _ => rest.push(*address),
        }
    }
    if rest.is_empty() {
        Ok(wishes)
    } else {
        Err(rest)
    }
}

/// The address of a set that the attachment has held since before a reboot. An address from this
/// boot is an error: there is no second ADD without a DEL (CNI specification).
fn from_before_reboot(
    demand: &Demand<'_>,
    key: SetKey<'_>,
    held: &[HeldAddress],
) -> Result<Option<IpAddr>, AllocateError> {
    let mut own = held
        .iter()
        .filter(|held| key.set.range_of(held.address).is_some());
    match own.next() {
        None => Ok(None),
        Some(held) if demand.reclaim == Reclaim::AfterReboot && held.age == Age::EarlierBoot => {
            Ok(Some(held.address))
        }
        Some(held) => refuse(
            key,
            SetError::Duplicate {
                address: held.address,
                container_id: demand.attachment.container_id.clone(),
            },
        ),
    }
}

fn requested<'a>(
    store: &mut dyn Store,
    demand: &Demand<'_>,
    key: SetKey<'a>,
    address: IpAddr,
) -> Result<(IpAddr, &'a Range), AllocateError> {
    let taken = |owner: Option<Owner>| SetError::Taken {
        address,
        set: Box::new(key.set.clone()),
        owner: owner.map(Box::new),
    };
    let Some(range) = key.set.range_of(address) else {
        return refuse(key, taken(None));
    };
    if range.gateway() == address {
        return refuse(key, SetError::Gateway(address));
    }
    if !key.set.gives(address) {
        return refuse(key, SetError::Excluded(address));
    }
    if store.reserve(address, demand.attachment, key)? {
        return Ok((address, range));
    }
    let lease = store.lease(address)?;
    let yields = demand.reclaim == Reclaim::AfterReboot
        && lease
            .as_ref()
            .is_some_and(|lease| lease.age == Age::EarlierBoot);
    if yields && take_over(store, demand, key, address)? {
        return Ok((address, range));
    }
    refuse(key, taken(lease.map(|lease| lease.owner)))
}

fn next_free<'a>(
    store: &mut dyn Store,
    demand: &Demand<'_>,
    key: SetKey<'a>,
) -> Result<(IpAddr, &'a Range), AllocateError> {
    let found = search(
        store,
        key,
        demand.reclaim,
        |store, address, age| match age {
            None => store.reserve(address, demand.attachment, key),
            Some(_) => take_over(store, demand, key, address),
        },
    )?;
    found.or_else(|reason| refuse(key, reason))
}

/// Searches a set for an address, in the order of its candidates: tries a few of them one by one,
/// then all that are not in use, then those that were given before a reboot.
///
/// `take` takes a candidate and returns whether it could. Its last argument is the age of an
/// address that is in use; `None` if nobody is known to hold the address.
fn search<'a>(
    store: &mut dyn Store,
    key: SetKey<'a>,
    reclaim: Reclaim,
    mut take: impl FnMut(&mut dyn Store, IpAddr, Option<Age>) -> Result<bool, StoreError>,
) -> Result<Result<(IpAddr, &'a Range), SetError>, StoreError> {
    let last = store.last_given(key)?;
    let mut candidates = key.set.candidates(last);
    for (address, range) in candidates.by_ref().take(PROBES) {
        if take(store, address, None)? {
            return Ok(Ok((address, range)));
        }
    }
    let mut taken = store.all()?;
    taken.sort_unstable();
    for (address, range) in candidates {
        if age_of(&taken, address).is_none() && take(store, address, None)? {
            return Ok(Ok((address, range)));
        }
    }
    if reclaim == Reclaim::AfterReboot {
        for (address, range) in key.set.candidates(last) {
            let earlier = age_of(&taken, address).filter(|age| *age == Age::EarlierBoot);
            if earlier.is_some() && take(store, address, earlier)? {
                return Ok(Ok((address, range)));
            }
        }
    }
    Ok(Err(exhaustion(key.set, &taken)))
}

/// Gives an address that is in use to another attachment.
fn take_over(
    store: &mut dyn Store,
    demand: &Demand<'_>,
    key: SetKey<'_>,
    address: IpAddr,
) -> Result<bool, StoreError> {
    store.release(address)?;
    store.reserve(address, demand.attachment, key)
}

/// The age of an address if it is in use; `taken` is in order.
fn age_of(taken: &[HeldAddress], address: IpAddr) -> Option<Age> {
    let index = taken
        .binary_search_by_key(&address, |held| held.address)
        .ok()?;
    taken.get(index).map(|held| held.age)
}

fn refuse<T>(key: SetKey<'_>, reason: SetError) -> Result<T, AllocateError> {
    Err(AllocateError::Set {
        index: key.index,
        reason,
    })
}

#[cfg(test)]
mod tests;
