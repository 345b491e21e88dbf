//! STATUS: whether an ADD could succeed now.

use cni_plugin::Call;
use cni_types::Error;
use container_link::{Ipam, not_ready};
use netlink::Rtnetlink;

use crate::config::{Addresses, Config};
use crate::master;

/// Reports whether an ADD could succeed now: whether the master exists and fits, and the IPAM
/// plugin is ready. A master in a container, or from a chain, is not checked.
pub(crate) fn status(call: &Call<'_>, config: &Config) -> Result<(), Error> {
    if config.is_chained {
        return Ok(());
    }
    if !config.link_in_container {
        let mut outside = Rtnetlink::open()?;
        let master = master::find(config, &mut outside).map_err(not_ready)?;
        master::fits(config, &master).map_err(not_ready)?;
    }
    match &config.addresses {
        Addresses::Ipam(plugin_type) => Ipam::status(call, plugin_type),
        Addresses::None | Addresses::Given(_) => Ok(()),
    }
}
