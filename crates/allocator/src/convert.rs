//! `convert`: moving a network's addresses from one backend to the other.

use std::net::IpAddr;

use state::BootId;

use crate::{Lease, Location, Store, StoreError, StoreKind};

/// Why a network's addresses could not be moved. Nothing is lost, and the move can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// One of the two stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The two stores have different owners for an address.
    #[error("{address} is held by {} in one store and by {} in the other: release it in one of \
        them", leases.0.owner.in_words(), leases.1.owner.in_words())]
    Conflict {
        /// The address.
        address: IpAddr,
        /// Its leases in the two stores.
        leases: Box<(Lease, Lease)>,
    },
}

/// Moves a network's addresses to `to`, from the other backend of the same `data_dir`, and returns
/// their number; `None` if the other backend does not exist. A database that is empty afterwards is
/// removed. `boot` is the ID of the running boot, if the kernel reports it.
///
/// # Errors
/// [`ConvertError`] if a store cannot be locked, read or changed, or if both stores hold an address
/// for different owners.
pub fn convert(to: &Location, boot: Option<BootId>) -> Result<Option<usize>, ConvertError> {
    let from = to.other();
    let Some(from) = from.open()? else {
        return Ok(None);
    };
    let target = to.create()?;
    // Whoever holds both locks has taken that of the files first.
    let (source, target) = match to.backend {
        StoreKind::Db => {
            let source = from.begin(boot)?;
            (source, target.begin(boot)?)
        }
        StoreKind::Disk => {
            let target = target.begin(boot)?;
            (from.begin(boot)?, target)
        }
    };
    let moved = transfer(source, target)?;
    // Each ADD looks into a database that exists.
    from.remove_if_empty(boot)?;
    Ok(Some(moved))
}

/// Moves all that one store knows of a network to another one; returns the number of addresses.
/// Afterwards the first knows of none, so no address is in both.
///
/// A transfer that fails, or whose process is killed, can be repeated: it accepts leases that both
/// stores have.
fn transfer(
    mut source: Box<dyn Store + '_>,
    mut target: Box<dyn Store + '_>,
) -> Result<usize, ConvertError> {
    let all = source.all()?;
    for held in &all {
        let Some(lease) = source.lease(held.address)? else {
            continue;
        };
        if target.adopt(&lease)? {
            continue;
        }
        let there = target.lease(held.address)?;
        if let Some(there) = there.filter(|there| there.owner != lease.owner) {
            return Err(ConvertError::Conflict {
                address: held.address,
                leases: Box::new((lease, there)),
            });
        }
    }
    for (index, address) in source.all_last_given()? {
        target.adopt_last_given(index, address)?;
    }
    target.commit()?;
    for held in &all {
        source.release(held.address)?;
    }
    source.commit()?;
    Ok(all.len())
}

#[cfg(test)]
#[cfg(feature = "db")]
mod tests;
