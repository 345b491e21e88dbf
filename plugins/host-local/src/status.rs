//! STATUS: whether an ADD could succeed now. Creates nothing to find out.

use std::time::Duration;

use allocator::{Location, SetError, exhausted};
use cni_plugin::Call;
use cni_types::Error;
use state::BootId;

use crate::config::Config;
use crate::error::{HostLocalError, Unavailable};
use crate::{other_backend, resolv_conf};

/// The timeout for a lock. A kubelet asks every few seconds, and stalls if the answer is late. A
/// network that others lock one after another all that time is in working order.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) fn status(call: &Call<'_>) -> Result<(), Error> {
    let config = Config::of(call)?;
    config.check_givable().map_err(Unavailable::NothingToGive)?;
    if let Some(file) = &config.resolv_conf {
        resolv_conf::read(file).map_err(Unavailable::ResolvConf)?;
    }
    let location = Location {
        lock_timeout: config.location.lock_timeout.min(LOCK_TIMEOUT),
        ..config.location.clone()
    };
    match first_exhausted(&location, &config) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(Unavailable::Exhausted { reason, location }.into()),
        Err(source) => Err(Unavailable::Unusable { location, source }.into()),
    }
}

fn first_exhausted(
    location: &Location,
    config: &Config,
) -> Result<Option<SetError>, HostLocalError> {
    location.probe(config.range_sets.iter().count())?;
    match other_backend::check_empty(location) {
        Err(HostLocalError::Store(error)) if error.is_busy() => {}
        checked => checked?,
    }
    let Some(network) = location.open()? else {
        return Ok(None);
    };
    let mut store = match network.begin(BootId::read()) {
        Err(error) if error.is_busy() => return Ok(None),
        begun => begun?,
    };
    Ok(exhausted(&mut *store, &config.range_sets, config.reclaim)?)
}
