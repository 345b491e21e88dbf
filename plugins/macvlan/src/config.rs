//! The configuration.

use cni_plugin::Call;
use cni_types::Error;
use cni_types::json::OptionalText;
use container_link::child::ChildConf;
use container_link::{parse_mac, requested_mac};
use netlink::{Child, MacvlanMode, UnknownMode};
use serde::Deserialize;

use crate::error::ConfigError;

/// The keys that only macvlan has, as they are written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawConf {
    mac: OptionalText,
    bcqueuelen: u32,
}

/// The configuration without the Ethernet address that the runtime asks for.
///
/// # Errors
/// Code 6 for a key of the wrong type, 7 for a value that makes no sense.
pub(crate) fn of(call: &Call<'_>) -> Result<ChildConf, Error> {
    let raw: RawConf = call.conf.decode()?;
    if raw.bcqueuelen != 0 {
        return Err(ConfigError::BcQueueLen(raw.bcqueuelen).into());
    }
    Ok(ChildConf {
        mac: parse_mac("mac", raw.mac.get())?,
        ..ChildConf::of(call, mode)?
    })
}

/// The configuration of an ADD. The Ethernet address that the runtime asks for takes precedence
/// over that of the configuration.
///
/// # Errors
/// As [`of`]; code 4 for `CNI_ARGS`.
pub(crate) fn for_add(call: &Call<'_>) -> Result<ChildConf, Error> {
    let conf = of(call)?;
    Ok(ChildConf {
        mac: requested_mac(call)?.or(conf.mac),
        ..conf
    })
}

fn mode(text: Option<&str>) -> Result<Child, UnknownMode> {
    let mode = text.map_or(Ok(MacvlanMode::Bridge), str::parse)?;
    Ok(Child::Macvlan(mode))
}
