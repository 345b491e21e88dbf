//! CHECK: compares the mappings with the kernel's rules.

use cni_plugin::Call;
use cni_types::{Attachment, Error};

use crate::config::{BackendOptions, Config};

pub(crate) fn check(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let config = Config::of(call.conf)?;
    let addresses = config.addresses_in_prev_result(call.conf, attachment)?;
    if config.mappings.is_empty() {
        return Ok(());
    }
    let (network, map) = (&call.conf.name, config.port_map(&addresses));
    let missing = match &config.backend {
        BackendOptions::Nftables(_) => firewall::missing_port_map(network, attachment, &map)?,
        BackendOptions::Iptables(_) => {
            firewall::missing_port_map_by_iptables(network, attachment, &map)?
        }
    };
    missing.map_or(Ok(()), |missing| Err(missing.into()))
}
