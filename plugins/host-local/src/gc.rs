//! GC: releases the addresses of attachments that are not valid any more, in both backends.

use allocator::{Collected, Location, StoreError, collect_garbage};
use cni_plugin::Call;
use cni_types::{Error, ValidAttachments};
use state::BootId;

use crate::config;
use crate::error::HostLocalError;

pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    let location = config::location_for_release(call)?;
    let mut errors = Vec::new();
    for location in [&location, &location.other()] {
        match release_stale(location, valid) {
            Ok(collected) => {
                for address in collected.released {
                    call.log.info(format_args!("{address} released"));
                }
                errors.extend(collected.errors);
            }
            Err(error) => errors.push(error),
        }
    }
    let errors = errors.into_iter().map(HostLocalError::from);
    match Error::join(errors.map(Error::from)) {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

fn release_stale(location: &Location, valid: &ValidAttachments) -> Result<Collected, StoreError> {
    let Some(network) = location.open_to_release()? else {
        return Ok(Collected::default());
    };
    let mut store = network.begin_to_release(BootId::read())?;
    let collected = collect_garbage(&mut *store, valid)?;
    store.commit()?;
    Ok(collected)
}
