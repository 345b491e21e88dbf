//! CHECK: the attachment holds the addresses of `prevResult`.

use std::net::IpAddr;

use allocator::{Location, StoreError};
use cni_plugin::Call;
use cni_types::{Attachment, Error};
use state::BootId;

use crate::config::{self, Config};
use crate::error::{CheckError, HostLocalError};

pub(crate) fn check(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let config = Config::of(call)?;
    let expected = config::previous_addresses(call)?;
    let held = held_by(&config.location, attachment).map_err(HostLocalError::from)?;
    if held.is_empty() {
        return Err(CheckError::HoldsNothing {
            attachment: attachment.clone(),
            location: config.location,
        }
        .into());
    }
    let missing: Vec<IpAddr> = expected
        .into_iter()
        .filter(|address| config.range_sets.contains(*address) && !held.contains(address))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(CheckError::Missing {
            attachment: attachment.clone(),
            location: config.location,
            missing,
        }
        .into())
    }
}

fn held_by(location: &Location, attachment: &Attachment) -> Result<Vec<IpAddr>, StoreError> {
    let Some(network) = location.open()? else {
        return Ok(Vec::new());
    };
    let held = network.begin(BootId::read())?.held_by(attachment)?;
    Ok(held.into_iter().map(|held| held.address).collect())
}
