//! What a plugin does with port maps.

use cni_types::{Attachment, NetworkName, ValidAttachments};
use netlink::Rtnetlink;

use crate::check::Missing;
use crate::port_map::PortMap;
use crate::port_map::node::{addresses_without_services, route_loopback, routes_loopback};
use crate::table::Table;
use crate::{FirewallError, Nftables};

/// Sends packets for ports of the node's addresses to a container, as [`Nftables::map_ports`] does,
/// and lets the node use its loopback address for them.
///
/// # Errors
/// As [`Nftables::map_ports`], and [`FirewallError::Sysctl`]; then nothing has changed.
pub fn map_ports(
    network: &NetworkName,
    attachment: &Attachment,
    map: &PortMap<'_>,
) -> Result<(), FirewallError> {
    let mut kernel = Rtnetlink::open()?;
    let node = addresses_without_services(&mut kernel)?;
    let mut nftables = Nftables::open()?;
    nftables.map_ports(network, attachment, map, node.as_deref())?;
    let Some(container) = map.address_for_loopback() else {
        return Ok(());
    };
    let routed = route_loopback(&mut kernel, container);
    if routed.is_err() {
        nftables.unmap_ports(network, attachment)?;
        for table in Table::PORT_MAP {
            nftables.kernel.remove_if_unused(table)?;
        }
    }
    routed
}

/// Removes an attachment's port map; it is no error if there is none.
///
/// # Errors
/// If a part may be left.
pub fn unmap_ports(network: &NetworkName, attachment: &Attachment) -> Result<(), FirewallError> {
    Nftables::open()?.unmap_ports(network, attachment)?;
    Ok(())
}

/// Removes the port maps of a network's attachments that are no longer valid, and the tables once
/// they are empty. What somebody has removed from the rest is restored.
///
/// # Errors
/// If a part may be left.
pub fn collect_port_maps(
    network: &NetworkName,
    valid: &ValidAttachments,
) -> Result<(), FirewallError> {
    Nftables::open()?.collect_port_maps(network, valid)?;
    Ok(())
}

/// What is missing of an attachment's port map; `None` if nothing is.
///
/// # Errors
/// If the kernel refuses to answer.
pub fn missing_port_map(
    network: &NetworkName,
    attachment: &Attachment,
    map: &PortMap<'_>,
) -> Result<Option<Missing>, FirewallError> {
    let missing = Nftables::open()?.missing_port_map(network, attachment, map)?;
    if missing.is_some() {
        return Ok(missing);
    }
    let (Some(container), Some(first)) = (map.address_for_loopback(), map.mappings.first()) else {
        return Ok(None);
    };
    let is_routed = routes_loopback(&mut Rtnetlink::open()?, container)?;
    Ok((!is_routed).then(|| Missing::PortMapping {
        mapping: *first,
        location: "the link towards it".to_owned(),
        lack: "route_localnet 0".to_owned(),
    }))
}

/// Finds out whether ports can be mapped. Nothing is changed.
///
/// # Errors
/// [`FirewallError::Unsupported`] and others, as [`map_ports`] would have them.
pub fn probe_port_maps() -> Result<(), FirewallError> {
    Nftables::open()?.kernel.probe_port_map(Table::PortMap4)
}
