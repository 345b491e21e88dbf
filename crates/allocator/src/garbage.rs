//! GC: releasing what belongs to no valid attachment.

use std::net::IpAddr;

use cni_types::ValidAttachments;

use crate::Store;

/// What a collection did.
#[derive(Debug)]
pub struct Collected<E> {
    /// The addresses that were released.
    pub released: Vec<IpAddr>,
    /// What went wrong with others.
    pub errors: Vec<E>,
}

/// Releases every address whose owner is no valid attachment any more, and goes on after errors.
pub fn collect_garbage<S: Store>(
    mut store: S,
    valid: &ValidAttachments,
) -> Result<Collected<S::Error>, S::Error> {
    let mut collected = Collected {
        released: Vec::new(),
        errors: Vec::new(),
    };
    for address in store.held_by_invalid(valid)? {
        let outcome = match store.holding(address) {
            Ok(Some(holding)) if !holding.owner.is_valid(valid) => store.release(address),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => collected.released.push(address),
            Err(error) => collected.errors.push(error),
        }
    }
    store.commit()?;
    Ok(collected)
}
