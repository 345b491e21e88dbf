//! What the commands do with a network's addresses, whichever store has them.

use std::net::IpAddr;

use allocator::{Allocation, Demand, Held, SetError, Store, allocate, collect_garbage, exhausted};
use cni_types::{Attachment, Error, ValidAttachments};

use crate::config::Config;
use crate::error;

/// A command's part under the store's lock: one transaction.
pub(crate) trait Operation {
    type Output;

    /// Whether it gives no address, so that a lock that only Twill knows is enough where there is
    /// no other.
    const ONLY_RELEASES: bool = false;

    fn run<S: Store>(self, store: S) -> Result<Self::Output, Error>
    where
        S::Error: Into<Error> + std::error::Error;
}

/// ADD: gives an attachment its addresses.
pub(crate) struct Allocate<'a> {
    pub(crate) config: &'a Config,
    pub(crate) attachment: &'a Attachment,
}

impl Operation for Allocate<'_> {
    type Output = Vec<Allocation>;

    fn run<S: Store>(self, store: S) -> Result<Vec<Allocation>, Error>
    where
        S::Error: Into<Error> + std::error::Error,
    {
        let demand = Demand {
            attachment: self.attachment,
            sets: &self.config.range_sets,
            requested: &self.config.requested,
            reclaim: self.config.reclaim,
        };
        let location = &self.config.location;
        allocate(store, &demand).map_err(|error| error::of_allocation(error, location))
    }
}

/// DEL: takes back whatever an attachment holds, and tells what that was.
pub(crate) struct Release<'a>(pub(crate) &'a Attachment);

impl Operation for Release<'_> {
    type Output = Vec<IpAddr>;

    const ONLY_RELEASES: bool = true;

    fn run<S: Store>(self, mut store: S) -> Result<Vec<IpAddr>, Error>
    where
        S::Error: Into<Error> + std::error::Error,
    {
        let held = store.held_by(self.0).map_err(Into::into)?;
        let addresses: Vec<IpAddr> = held.into_iter().map(|held| held.address).collect();
        for address in &addresses {
            store.release(*address).map_err(Into::into)?;
        }
        store.commit().map_err(Into::into)?;
        Ok(addresses)
    }
}

/// CHECK: the addresses that an attachment holds.
pub(crate) struct HeldBy<'a>(pub(crate) &'a Attachment);

impl Operation for HeldBy<'_> {
    type Output = Vec<IpAddr>;

    fn run<S: Store>(self, mut store: S) -> Result<Vec<IpAddr>, Error>
    where
        S::Error: Into<Error> + std::error::Error,
    {
        let held: Vec<Held> = store.held_by(self.0).map_err(Into::into)?;
        Ok(held.into_iter().map(|held| held.address).collect())
    }
}

/// How many addresses somebody holds.
pub(crate) struct Count;

impl Operation for Count {
    type Output = usize;

    fn run<S: Store>(self, mut store: S) -> Result<usize, Error>
    where
        S::Error: Into<Error> + std::error::Error,
    {
        Ok(store.all().map_err(Into::into)?.len())
    }
}

/// GC: takes back what attachments hold that are not valid any more.
pub(crate) struct Collect<'a>(pub(crate) &'a ValidAttachments);

impl Operation for Collect<'_> {
    type Output = ();

    const ONLY_RELEASES: bool = true;

    fn run<S: Store>(self, store: S) -> Result<(), Error>
    where
        S::Error: Into<Error> + std::error::Error,
    {
        let collected = collect_garbage(store, self.0).map_err(Into::into)?;
        match Error::join(collected.errors.into_iter().map(Into::into)) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}

/// STATUS: why the first range set without an address to give has none, if there is one.
pub(crate) struct Exhausted<'a>(pub(crate) &'a Config);

impl Operation for Exhausted<'_> {
    type Output = Option<SetError>;

    fn run<S: Store>(self, mut store: S) -> Result<Option<SetError>, Error>
    where
        S::Error: Into<Error> + std::error::Error,
    {
        exhausted(&mut store, &self.0.range_sets, self.0.reclaim).map_err(Into::into)
    }
}
