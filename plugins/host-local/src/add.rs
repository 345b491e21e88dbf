//! ADD: gives an attachment one address of each range set, or none at all.

use allocator::{Allocation, Demand, allocate};
use cni_plugin::Call;
use cni_types::{AddResult, Attachment, Dns, Error, IpConfig};
use state::BootId;

use crate::config::Config;
use crate::error::HostLocalError;
use crate::{other_backend, resolv_conf};

pub(crate) fn add(call: &Call<'_>, attachment: &Attachment) -> Result<String, Error> {
    let config = Config::of(call)?;
    config.check_givable()?;
    let dns = match &config.resolv_conf {
        Some(file) => resolv_conf::read(file)?,
        None => Dns::default(),
    };
    let allocations = give(&config, attachment)?;
    for allocation in &allocations {
        call.log.info(format_args!("{} given", allocation.address));
    }
    let ips = allocations.into_iter().map(|allocation| IpConfig {
        interface: None,
        address: allocation.address,
        gateway: Some(allocation.gateway),
    });
    AddResult {
        ips: ips.collect(),
        routes: config.routes,
        dns,
        ..AddResult::default()
    }
    .encode(call.conf.version)
}

fn give(config: &Config, attachment: &Attachment) -> Result<Vec<Allocation>, HostLocalError> {
    other_backend::check_empty(&config.location)?;
    let demand = Demand {
        attachment,
        sets: &config.range_sets,
        requested: &config.requested,
        reclaim: config.reclaim,
    };
    let network = config.location.create()?;
    let mut store = network.begin(BootId::read())?;
    let allocations = allocate(&mut *store, &demand).map_err(|error| HostLocalError::Allocate {
        error,
        location: Box::new(config.location.clone()),
    })?;
    store.commit()?;
    Ok(allocations)
}
