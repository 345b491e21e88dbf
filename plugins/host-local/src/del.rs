//! DEL: releases every address of an attachment, whatever the configuration says about ranges.

use std::net::IpAddr;

use allocator::{Location, StoreError};
use cni_plugin::Call;
use cni_types::{Attachment, Error};
use state::BootId;

use crate::config;
use crate::error::HostLocalError;

pub(crate) fn del(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let location = config::location_for_release(call)?;
    let mut released = release(&location, attachment).map_err(HostLocalError::from)?;
    if released.is_empty() {
        released = release(&location.other(), attachment).unwrap_or_else(|error| {
            // The backend that the configuration does not name must not hold up a DEL.
            call.log.error(format_args!("{error}"));
            Vec::new()
        });
    }
    for address in released {
        call.log.info(format_args!("{address} released"));
    }
    Ok(())
}

fn release(location: &Location, attachment: &Attachment) -> Result<Vec<IpAddr>, StoreError> {
    let Some(network) = location.open_to_release()? else {
        return Ok(Vec::new());
    };
    let mut store = network.begin_to_release(BootId::read())?;
    let held = store.held_by(attachment)?;
    let addresses: Vec<IpAddr> = held.into_iter().map(|held| held.address).collect();
    for address in &addresses {
        store.release(*address)?;
    }
    store.commit()?;
    Ok(addresses)
}
