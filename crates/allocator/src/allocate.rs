//! Allocation policy: one address per range set for an attachment, or none at all.

use std::collections::HashSet;
use std::net::IpAddr;

use cni_types::{Attachment, ContainerId};
use ipnetwork::IpNetwork;

use crate::{Age, First, Held, Owner, Range, RangeSet, RangeSets, SetKey, Store, StoreError};

/// How many addresses are tried one by one before all that are taken are looked at together.
const PROBES: usize = 16;

/// What an attachment is to get.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Who gets it.
    pub attachment: &'a Attachment,
    /// One address of each of these sets.
    pub sets: &'a RangeSets,
    /// The address to take, for the sets that have one of these.
    pub requested: &'a [IpAddr],
    /// What becomes of addresses whose containers a reboot has ended.
    pub reclaim: Reclaim,
}

/// What becomes of addresses that were given before the kernel started, and whose containers cannot
/// be running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reclaim {
    /// They are passed over while others are free, but yield when there is no other, when exactly
    /// that one is asked for, and to their own attachment.
    #[default]
    AfterReboot,
    /// They are held until they are released.
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

/// Why an attachment got no addresses.
#[derive(Debug, thiserror::Error)]
pub enum AllocateError {
    /// A range set could not give one.
    #[error("failed to allocate for range {index}: {reason}")]
    Set {
        /// The set's place in the list.
        index: usize,
        /// Why it could not.
        reason: SetError,
    },
    /// Requested addresses that are in no range set, or that come second in theirs.
    #[error("failed to allocate all requested IPs: {}: each must be in a range set, and a set \
        gives one", First(.0, " "))]
    Unfulfilled(Vec<IpAddr>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a range set could not give an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// All are taken.
    #[error("no IP addresses available in range set: {set}")]
    Exhausted {
        /// The set.
        set: RangeSet,
        /// How many of its addresses somebody holds.
        held: usize,
        /// How many of these from before a reboot.
        earlier: usize,
    },
    /// The attachment holds one already.
    #[error(
        "{address} has been allocated to {container_id} already: a second ADD needs a DEL before it"
    )]
    Duplicate {
        /// The address that it holds.
        address: IpAddr,
        /// Its container.
        container_id: ContainerId,
    },
    /// The one that was asked for is the gateway's.
    #[error("requested IP address {0} is the subnet's gateway")]
    Gateway(IpAddr),
    /// The one that was asked for is excluded.
    #[error("requested IP address {0} is excluded")]
    Excluded(IpAddr),
    /// The one that was asked for is taken.
    #[error("requested IP address {address} is not available in range set \
        {set}{}", by(.owner.as_deref()))]
    Taken {
        /// The requested address.
        address: IpAddr,
        /// The set that it is in.
        set: Box<RangeSet>,
        /// Who holds it; `None` if it is blocked by something else than an attachment.
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
    // All refusals that can be known come before anything is changed.
    let before = keys()
        .map(|key| from_before_reboot(demand, key, &held))
        .collect::<Result<Vec<_>, _>>()?;

    let mut allocations = Vec::new();
    for ((key, wish), before) in keys().zip(wishes).zip(before) {
        if let Some(address) = before {
            store.release(address)?;
        }
        // What it had before the reboot, unless it asks for another or that may not be given any
        // more.
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

/// Why the first range set that could not give an address to anybody could not; `None` if all
/// could.
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

fn exhaustion(set: &RangeSet, all: &[Held]) -> SetError {
    let held = || all.iter().filter(|held| set.gives(held.address));
    SetError::Exhausted {
        set: set.clone(),
        held: held().count(),
        earlier: held().filter(|held| held.age == Age::EarlierBoot).count(),
    }
}

/// Finds the set of each requested address. What is in no set, or not the first in its own, is
/// returned as the error.
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

/// The address that the attachment has had of a set since before a reboot. That it holds one since
/// is an error: an attachment has one address of a set (CNI specification: no second ADD without a
/// DEL).
fn from_before_reboot(
    demand: &Demand<'_>,
    key: SetKey<'_>,
    held: &[Held],
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

/// Tries a few addresses one by one, then looks at all that are taken, then tries those from before
/// a reboot. `take` tells whether an address is to be had; it gets the age of one that somebody
/// holds.
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

/// Gives an address to somebody else than its holder.
fn take_over(
    store: &mut dyn Store,
    demand: &Demand<'_>,
    key: SetKey<'_>,
    address: IpAddr,
) -> Result<bool, StoreError> {
    store.release(address)?;
    store.reserve(address, demand.attachment, key)
}

/// How old an address is, if it is one of those, which are in order.
fn age_of(taken: &[Held], address: IpAddr) -> Option<Age> {
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
