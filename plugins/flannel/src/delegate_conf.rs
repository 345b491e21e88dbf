//! The delegate's network configuration: `flannel`'s own, completed from the lease.

use cni_plugin::{Call, Log};
use cni_types::json::{DecodeError, Object};
use cni_types::{NetworkName, Route};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::Config;
use crate::error::ConfigError;
use crate::subnet_env::Lease;

pub(crate) const DEFAULT_IPAM: &str = "host-local";

/// The delegate whose configuration gets `isGateway`.
const BRIDGE: &str = "bridge";

/// A range in the format of IPAM plugins.
#[derive(Serialize)]
struct Range {
    subnet: String,
}

/// Renders the configuration that the delegate gets on ADD, and again on CHECK and DEL.
///
/// # Errors
/// A key of the configuration that has the wrong shape.
pub(crate) fn render(
    config: &Config,
    network: &NetworkName,
    lease: &Lease,
) -> Result<Object, ConfigError> {
    let mut conf = config.delegate.clone();
    conf.set("name", network.as_str())?;
    if let Some(version) = &config.cni_version {
        conf.set("cniVersion", version)?;
    }
    conf.set("type", config.delegate_type.as_str())?;
    conf.set_default("ipMasq", &!lease.ip_masq)?;
    conf.set_default("mtu", &lease.mtu)?;
    if config.delegate_type.as_str() == BRIDGE {
        conf.set_default("isGateway", &true)?;
    }
    if let Some(runtime_config) = &config.runtime_config {
        conf.set("runtimeConfig", runtime_config)?;
    }
    for (key, value) in [("args", &config.args), ("dns", &config.dns)] {
        if let Some(value) = value {
            conf.set_default(key, value)?;
        }
    }
    conf.set("ipam", &ipam(&config.ipam, lease)?)?;
    Ok(conf)
}

/// A configuration as the delegate reads it. The call's settings of the log are passed on to a
/// delegate that has none of its own. They are not kept for DEL, whose call has settings too.
pub(crate) fn to_json(call: &Call<'_>, conf: &Object) -> Result<String, ConfigError> {
    if !Log::KEYS.iter().any(|key| call.conf.contains(key)) {
        return Ok(conf.to_json()?);
    }
    let mut conf = conf.clone();
    for key in Log::KEYS {
        if let Ok(Some(value)) = call.conf.value::<&RawValue>(key) {
            conf.set_default(key, value)?;
        }
    }
    Ok(conf.to_json()?)
}

fn ipam(own: &Object, lease: &Lease) -> Result<Object, DecodeError> {
    let mut ipam = own.clone();
    ipam.set_default("type", DEFAULT_IPAM)?;
    let ranges = lease.subnets.iter().map(|subnet| {
        [Range {
            subnet: subnet.to_string(),
        }]
    });
    ipam.set("ranges", &ranges.collect::<Vec<_>>())?;

    // Decoded only so that `flannel` reports mistakes, not the IPAM plugin. The routes are passed
    // on as they were written.
    let in_ipam = |error: DecodeError| error.inside("ipam");
    own.decode::<Vec<Route>>("routes").map_err(in_ipam)?;
    let mut routes: Vec<Box<RawValue>> = own.decode("routes").map_err(in_ipam)?.unwrap_or_default();
    for network in &lease.networks {
        let route = serde_json::value::to_raw_value(&Route::to(*network));
        routes.push(route.map_err(|error| DecodeError::at("ipam.routes", error))?);
    }
    ipam.set("routes", &routes)?;
    Ok(ipam)
}

#[cfg(test)]
mod tests;
