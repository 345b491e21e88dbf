use std::net::IpAddr;

use crate::{Owner, Store};

/// What a collection did.
#[derive(Debug)]
pub struct Collected<E> {
    /// The addresses that were released.
    pub released: Vec<IpAddr>,
    /// What went wrong with others.
    pub errors: Vec<E>,
}

/// Releases every address whose owner is not to be kept, and goes on after errors.
pub fn collect_garbage<S: Store>(
    mut store: S,
    keep: impl Fn(&Owner) -> bool,
) -> Result<Collected<S::Error>, S::Error> {
    let mut collected = Collected {
        released: Vec::new(),
        errors: Vec::new(),
    };
    for held in store.all()? {
        let outcome = match store.holding(held.address) {
            Ok(Some(holding)) if !keep(&holding.owner) => store.release(held.address),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => collected.released.push(held.address),
            Err(error) => collected.errors.push(error),
        }
    }
    store.commit()?;
    Ok(collected)
}
