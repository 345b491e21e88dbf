//! GC: releasing the addresses of attachments that are not valid any more.

use std::net::IpAddr;

use cni_types::ValidAttachments;

use crate::{Store, StoreError};

/// The outcome of a GC.
#[derive(Debug, Default)]
pub struct Collected {
    /// The addresses that were released.
    pub released: Vec<IpAddr>,
    /// An error for each address that could not be released.
    pub errors: Vec<StoreError>,
}

/// Releases every address whose owner is not valid any more. An address that cannot be released
/// does not stop the others.
///
/// # Errors
/// [`StoreError`] if the store cannot list its addresses.
pub fn collect_garbage(
    store: &mut dyn Store,
    valid: &ValidAttachments,
) -> Result<Collected, StoreError> {
    let mut collected = Collected::default();
    for address in store.held_by_invalid(valid)? {
        let outcome = match store.lease(address) {
            Ok(Some(lease)) if !lease.owner.is_valid(valid) => store.release(address),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => collected.released.push(address),
            Err(error) => collected.errors.push(error),
        }
    }
    Ok(collected)
}
