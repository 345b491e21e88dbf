//! The configuration, also as one of several plugins in a chain.

use cni_plugin::Call;
use cni_types::{AddResult, Error, LinkName};
use container_link::child::{Addresses, ChildConf, MasterChoice};
use container_link::previous_result;
use netlink::{Child, IpvlanMode, UnknownMode};

use crate::error::ConfigError;

/// The configuration without what comes before the plugin in a chain. In CHECK, `prevResult` is ADD's own.
///
/// Errors: code 6 for a key of the wrong type, 7 for a value that makes no sense.
pub(crate) fn alone(call: &Call<'_>) -> Result<ChildConf, Error> {
    ChildConf::of(call, mode)
}

/// What ADD makes. Where they are not configured, master and addresses are those of `prevResult`.
///
/// Errors: as [`alone`]; code 7 if there are no addresses to be had.
pub(crate) fn for_add(call: &Call<'_>) -> Result<ChildConf, Error> {
    let mut conf = alone(call)?;
    let previous = previous_result(call.conf)?;
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

fn mode(text: &str) -> Result<Child, UnknownMode> {
    let mode = match text {
        "" => IpvlanMode::L2,
        text => text.parse()?,
    };
    Ok(Child::Ipvlan(mode))
}

fn single_interface(previous: &AddResult) -> Result<LinkName, ConfigError> {
    match previous.interfaces.as_slice() {
        [only] if !only.name.is_empty() => only.name.parse().map_err(ConfigError::Interface),
        several => Err(ConfigError::NoSingleInterface(several.len())),
    }
}
