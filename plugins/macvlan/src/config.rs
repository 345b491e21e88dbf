//! The configuration.

use cni_plugin::Call;
use cni_types::Error;
use container_link::child::ChildConf;
use container_link::{parse_mac, requested_mac};
use netlink::{Child, MacvlanMode, UnknownMode};
use serde::Deserialize;

use crate::error::ConfigError;

/// The keys that only macvlan has, as they are written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawConf {
    mac: String,
    bcqueuelen: u32,
}

/// What ADD makes but for the Ethernet address that the runtime asks for.
///
/// Errors: code 6 for a key of the wrong type, 7 for a value that makes no sense.
pub(crate) fn of(call: &Call<'_>) -> Result<ChildConf, Error> {
    let raw: RawConf = call.conf.decode()?;
    if raw.bcqueuelen != 0 {
        return Err(ConfigError::BcQueueLen(raw.bcqueuelen).into());
    }
    Ok(ChildConf {
        mac: parse_mac("mac", &raw.mac)?,
        ..ChildConf::of(call, mode)?
    })
}

/// What ADD makes. The runtime's wish for an Ethernet address comes before the configuration's.
///
/// Errors: as [`of`]; code 4 for `CNI_ARGS`.
pub(crate) fn for_add(call: &Call<'_>) -> Result<ChildConf, Error> {
    let conf = of(call)?;
    Ok(ChildConf {
        mac: requested_mac(call)?.or(conf.mac),
        ..conf
    })
}

fn mode(text: &str) -> Result<Child, UnknownMode> {
    let mode = match text {
        "" => MacvlanMode::Bridge,
        text => text.parse()?,
    };
    Ok(Child::Macvlan(mode))
}
