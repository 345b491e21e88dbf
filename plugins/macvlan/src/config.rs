//! The keys of macvlan.

use cni_plugin::Call;
use cni_types::Error;
use cni_types::json::OptionalText;
use container_link::{parse_mac, requested_mac};
use netlink::{MacvlanMode, SubInterface, UnknownMode};
use serde::Deserialize;
use sub_interface::Config;

use crate::error::ConfigError;

/// The keys that only macvlan has, as they are written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawConf {
    mac: OptionalText,
    bcqueuelen: u32,
}

/// The configuration of CHECK and STATUS.
pub(crate) fn of(call: &Call<'_>) -> Result<Config, Error> {
    let raw: RawConf = call.conf.decode()?;
    if raw.bcqueuelen != 0 {
        return Err(ConfigError::BcQueueLen(raw.bcqueuelen).into());
    }
    Ok(Config {
        mac: parse_mac("mac", raw.mac.get())?,
        ..Config::of(call, kind)?
    })
}

/// The configuration of an ADD. The MAC that the runtime requests takes precedence over that of the
/// configuration.
pub(crate) fn of_add(call: &Call<'_>) -> Result<Config, Error> {
    let config = of(call)?;
    Ok(Config {
        mac: requested_mac(call)?.or(config.mac),
        ..config
    })
}

fn kind(mode: Option<&str>) -> Result<SubInterface, UnknownMode> {
    let mode = mode.map_or(Ok(MacvlanMode::Bridge), str::parse)?;
    Ok(SubInterface::Macvlan(mode))
}
