use std::net::IpAddr;

use cni_types::{Attachment, ContainerId};
use ipnetwork::IpNetwork;

use crate::{Range, RangeSet, RangeSets, Store};

/// An address that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The address, with its subnet's prefix length.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: IpAddr,
}

/// Why an attachment got no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError<E> {
    /// A range set could not give one.
    #[error("failed to allocate for range {index}: {reason}")]
    Set {
        /// The set's place in the list.
        index: usize,
        /// Why it could not.
        reason: SetError,
    },
    /// Requested addresses that are in no range set, or that come second in theirs.
    #[error("failed to allocate all requested IPs: {}: each must be in a range set, and a set gives one", list(.0))]
    Unfulfilled(Vec<IpAddr>),
    /// The store failed.
    #[error(transparent)]
    Store(E),
}

/// Why a range set could not give an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// All are taken.
    #[error("no IP addresses available in range set: {0}")]
    Exhausted(RangeSet),
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
    /// The one that was asked for is taken.
    #[error("requested IP address {address} is not available in range set {set}")]
    Taken {
        /// The requested address.
        address: IpAddr,
        /// The set that it is in.
        set: RangeSet,
    },
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    texts.join(" ")
}

/// Gives an attachment one address of each range set: the requested one where the set has it, else the next free one.
/// If one set cannot, the attachment gets none, and what it was given by others is taken back.
pub fn allocate<S: Store>(
    store: &mut S,
    sets: &RangeSets,
    attachment: &Attachment,
    requested: &[IpAddr],
) -> Result<Vec<Allocation>, AllocateError<S::Error>> {
    let wishes = assign(sets, requested).map_err(AllocateError::Unfulfilled)?;
    refuse_duplicate(store, sets, attachment)?;

    let mut taken = Taken {
        store,
        addresses: Vec::new(),
    };
    let mut allocations = Vec::new();
    for (index, (set, wish)) in sets.iter().zip(wishes).enumerate() {
        let (address, range) = match wish {
            Some(address) => reserve_requested(taken.store, set, index, attachment, address)?,
            None => reserve_next(taken.store, set, index, attachment)?,
        };
        taken.addresses.push(address);
        allocations.push(Allocation {
            // Cannot fail: the prefix comes from a subnet of the same family.
            address: IpNetwork::new(address, range.subnet().prefix())
                .unwrap_or_else(|_| address.into()),
            gateway: range.gateway(),
        });
    }
    taken.keep();
    Ok(allocations)
}

/// Finds the set of each requested address: the first that has it. The rest is returned as the error.
fn assign(sets: &RangeSets, requested: &[IpAddr]) -> Result<Vec<Option<IpAddr>>, Vec<IpAddr>> {
    let mut rest: Vec<IpAddr> = Vec::new();
    for address in requested {
        if !rest.contains(address) {
            rest.push(*address);
        }
    }
    let wishes = sets
        .iter()
        .map(|set| {
            let index = rest
                .iter()
                .position(|address| set.range_of(*address).is_some())?;
            Some(rest.remove(index))
        })
        .collect();
    if rest.is_empty() {
        Ok(wishes)
    } else {
        Err(rest)
    }
}

/// An attachment has one address of a set at most (CNI specification: no second ADD without a DEL).
fn refuse_duplicate<S: Store>(
    store: &mut S,
    sets: &RangeSets,
    attachment: &Attachment,
) -> Result<(), AllocateError<S::Error>> {
    let held = store.held_by(attachment).map_err(AllocateError::Store)?;
    for (index, set) in sets.iter().enumerate() {
        if let Some(address) = held
            .iter()
            .find(|address| set.range_of(**address).is_some())
        {
            return Err(AllocateError::Set {
                index,
                reason: SetError::Duplicate {
                    address: *address,
                    container_id: attachment.container_id.clone(),
                },
            });
        }
    }
    Ok(())
}

fn reserve_requested<'a, S: Store>(
    store: &mut S,
    set: &'a RangeSet,
    index: usize,
    attachment: &Attachment,
    address: IpAddr,
) -> Result<(IpAddr, &'a Range), AllocateError<S::Error>> {
    let refusal = |reason| AllocateError::Set { index, reason };
    let taken = || SetError::Taken {
        address,
        set: set.clone(),
    };
    let range = set.range_of(address).ok_or_else(|| refusal(taken()))?;
    if range.gateway() == address {
        return Err(refusal(SetError::Gateway(address)));
    }
    if store
        .reserve(address, attachment, index)
        .map_err(AllocateError::Store)?
    {
        Ok((address, range))
    } else {
        Err(refusal(taken()))
    }
}

fn reserve_next<'a, S: Store>(
    store: &mut S,
    set: &'a RangeSet,
    index: usize,
    attachment: &Attachment,
) -> Result<(IpAddr, &'a Range), AllocateError<S::Error>> {
    let last = store.last_given(index).map_err(AllocateError::Store)?;
    for (address, range) in set.candidates(last) {
        if store
            .reserve(address, attachment, index)
            .map_err(AllocateError::Store)?
        {
            return Ok((address, range));
        }
    }
    Err(AllocateError::Set {
        index,
        reason: SetError::Exhausted(set.clone()),
    })
}

/// The addresses taken so far, which are given back unless they are kept.
struct Taken<'a, S: Store> {
    store: &'a mut S,
    addresses: Vec<IpAddr>,
}

impl<S: Store> Taken<'_, S> {
    fn keep(mut self) {
        self.addresses.clear();
    }
}

impl<S: Store> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        for address in self.addresses.drain(..) {
            // There is an error already, and whatever cannot be given back is released by DEL.
            let _ = self.store.release(address);
        }
    }
}

#[cfg(test)]
mod tests;
