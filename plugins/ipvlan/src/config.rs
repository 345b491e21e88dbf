//! The configuration, also as one of several plugins in a chain.

use cni_plugin::Call;
use cni_types::{AddResult, Error, LinkName};
use container_link::child::{Addresses, ChildConf, MasterChoice};
use netlink::{Child, IpvlanMode, UnknownMode};

use crate::error::ConfigError;

/// The configuration without `prevResult`, which on CHECK is the result of the whole ADD.
///
/// # Errors
/// Code 6 for a key of the wrong type, 7 for a value that makes no sense.
pub(crate) fn alone(call: &Call<'_>) -> Result<ChildConf, Error> {
    ChildConf::of(call, mode)
}

/// The configuration of an ADD. A master or addresses that are not configured are those of
/// `prevResult`.
///
/// # Errors
/// As [`alone`]; code 7 if neither has addresses.
pub(crate) fn for_add(call: &Call<'_>) -> Result<ChildConf, Error> {
    let mut conf = alone(call)?;
    let previous = call.conf.prev_result()?;
    if let Some(previous) = &previous
        && conf.master == MasterChoice::DefaultRoute
    {
        conf.master = MasterChoice::Named(single_interface(previous)?);
    }
    if conf.addresses == Addresses::None {
        let given = previous.filter(|previous| !previous.ips.is_empty());
        let given = given.ok_or(ConfigError::NoAddresses)?;
        conf.addresses = Addresses::Given(Box::new(given));
    }
    Ok(conf)
}

fn mode(text: Option<&str>) -> Result<Child, UnknownMode> {
    let mode = text.map_or(Ok(IpvlanMode::L2), str::parse)?;
    Ok(Child::Ipvlan(mode))
}

fn single_interface(previous: &AddResult) -> Result<LinkName, ConfigError> {
    match previous.interfaces.as_slice() {
        [only] if !only.name.is_empty() => only.name.parse().map_err(ConfigError::Interface),
        several => Err(ConfigError::NoSingleInterface(several.len())),
    }
}
