//! Moving a network's addresses from one store to another.

use std::net::IpAddr;

use crate::{Holding, Store};

/// Why a network's addresses stay where they are.
#[derive(Debug, thiserror::Error)]
pub enum TransferError<F, T> {
    /// The store that they are in failed.
    #[error(transparent)]
    From(F),
    /// The store that they were to get into failed.
    #[error(transparent)]
    To(T),
    /// Both stores say that somebody holds an address, but not who.
    #[error("{address} is held by {} in one store and by {} in the other: release it in one of \
        them", one(&.holders.0), one(&.holders.1))]
    Conflict {
        /// The address.
        address: IpAddr,
        /// Who holds it here and there.
        holders: Box<(Holding, Holding)>,
    },
}

fn one(holding: &Holding) -> String {
    holding.owner.to_string().replace("\r\n", " ")
}

/// Moves all that one store knows of a network to another one; returns the number of addresses.
/// Afterwards the first knows of none, so no address is in both.
///
/// If it fails, or its process is killed, it can be repeated: what both stores have by then is the
/// same.
pub fn transfer<F: Store, T: Store>(
    mut from: F,
    mut to: T,
) -> Result<usize, TransferError<F::Error, T::Error>> {
    let all = from.all().map_err(TransferError::From)?;
    for held in &all {
        let holding = from.holding(held.address).map_err(TransferError::From)?;
        let Some(holding) = holding else {
            continue;
        };
        if to
            .adopt(held.address, &holding)
            .map_err(TransferError::To)?
        {
            continue;
        }
        let there = to.holding(held.address).map_err(TransferError::To)?;
        if let Some(there) = there.filter(|there| there.owner != holding.owner) {
            return Err(TransferError::Conflict {
                address: held.address,
                holders: Box::new((holding, there)),
            });
        }
    }
    for (index, address) in from.all_last_given().map_err(TransferError::From)? {
        to.adopt_last_given(index, address)
            .map_err(TransferError::To)?;
    }
    to.commit().map_err(TransferError::To)?;
    for held in &all {
        from.release(held.address).map_err(TransferError::From)?;
    }
    from.commit().map_err(TransferError::From)?;
    Ok(all.len())
}

#[cfg(test)]
mod tests;
