//! Addresses in the backend that the configuration does not name: containers still hold them if
//! `backend` was changed without moving them.

use allocator::{Leases, Location};
use state::BootId;

use crate::error::{HostLocalError, NotConverted};

/// Checks that the network may give addresses in its backend: the other one has none of them.
///
/// # Errors
/// [`HostLocalError::NotConverted`] if the other one has some; [`HostLocalError::Store`] if it
/// cannot be read.
pub(crate) fn check_empty(location: &Location) -> Result<(), HostLocalError> {
    let other = location.other();
    // On most nodes, this one system call is all.
    if std::fs::symlink_metadata(other.path()).is_err() {
        return Ok(());
    }
    match Leases::read(&other, BootId::read())?.held.len() {
        0 => Ok(()),
        count => Err(NotConverted {
            count,
            location: Box::new(location.clone()),
        }
        .into()),
    }
}
