//! ADD: maps the ports, and passes on the result of the plugins before this one; without ports, at
//! once.

use cni_plugin::Call;
use cni_types::{Attachment, Error};

use crate::config::{BackendOptions, Config};
use crate::error::ConfigError;

pub(crate) fn add(call: &Call<'_>, attachment: &Attachment) -> Result<String, Error> {
    let config = Config::of(call.conf)?;
    let result = call.conf.passed_on_prev_result()?;
    let result = result.ok_or(ConfigError::NoPrevResult)?;
    if config.mappings.is_empty() {
        return Ok(result);
    }
    let addresses = config.addresses_in_prev_result(call.conf, attachment)?;
    let (network, map) = (&call.conf.name, config.port_map(&addresses));
    match &config.backend {
        BackendOptions::Nftables(_) => firewall::map_ports(network, attachment, &map)?,
        BackendOptions::Iptables(options) => {
            firewall::map_ports_by_iptables(network, attachment, &map, options)?;
        }
    }
    call.log.debug(format_args!(
        "{} mappings to {addresses:?}",
        config.mappings.len()
    ));
    Ok(result)
}
