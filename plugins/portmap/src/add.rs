//! ADD: without ports, the result of the plugins before this one is passed on at once.

use cni_plugin::Call;
use cni_types::{Attachment, Error};

use crate::config::Config;
use crate::error::ConfigError;

pub(crate) fn add(call: &Call<'_>, attachment: &Attachment) -> Result<String, Error> {
    let config = Config::of(call.conf)?;
    let result = call.conf.passed_on_prev_result()?;
    let result = result.ok_or(ConfigError::NoPrevResult)?;
    if config.mappings.is_empty() {
        return Ok(result);
    }
    let addresses = config.addresses_in_prev_result(call.conf, attachment)?;
    firewall::map_ports(&call.conf.name, attachment, &config.port_map(&addresses))?;
    call.log.debug(format_args!(
        "{} mappings to {addresses:?}",
        config.mappings.len()
    ));
    Ok(result)
}
