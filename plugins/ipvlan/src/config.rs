//! The keys of ipvlan, also as one of several plugins in a chain.

use cni_plugin::Call;
use cni_types::{AddResult, Error, LinkName};
use netlink::{IpvlanMode, SubInterface, UnknownMode};
use sub_interface::{Addresses, Config, MasterChoice};

use crate::error::ConfigError;

/// The configuration of CHECK and STATUS.
pub(crate) fn of(call: &Call<'_>) -> Result<Config, Error> {
    let config = Config::of(call, kind)?;
    let is_chained =
        config.addresses == Addresses::None && config.master == MasterChoice::DefaultRoute;
    Ok(Config {
        is_chained,
        ..config
    })
}

/// The configuration of an ADD. A missing master, and the addresses without `ipam`, come from
/// `prevResult`; code 7 if neither has addresses.
pub(crate) fn of_add(call: &Call<'_>) -> Result<Config, Error> {
    let mut config = of(call)?;
    let previous = call.conf.prev_result()?;
    if let Some(previous) = &previous
        && config.master == MasterChoice::DefaultRoute
    {
        config.master = MasterChoice::Named(single_interface(previous)?);
    }
    if config.addresses == Addresses::None {
        let given = previous.filter(|previous| !previous.ips.is_empty());
        let given = given.ok_or(ConfigError::NoAddresses)?;
        config.addresses = Addresses::Given(Box::new(given));
    }
    Ok(config)
}

fn kind(mode: Option<&str>) -> Result<SubInterface, UnknownMode> {
    let mode = mode.map_or(Ok(IpvlanMode::L2), str::parse)?;
    Ok(SubInterface::Ipvlan(mode))
}

fn single_interface(previous: &AddResult) -> Result<LinkName, ConfigError> {
    match previous.interfaces.as_slice() {
        [only] if !only.name.is_empty() => only.name.parse().map_err(ConfigError::Interface),
        several => Err(ConfigError::NoSingleInterface(several.len())),
    }
}
