//! The operations of a plugin on port maps.

use std::net::IpAddr;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use netlink::Rtnetlink;

use crate::all::{has_legacy_tables, may_have_legacy_port_maps, unless_not_installed};
use crate::check::Missing;
use crate::conntrack::{Forgotten, MappedPort};
use crate::go::port_map_chain;
use crate::iptables::port_map::IptablesOptions;
use crate::iptables::{Tables, lock_chain};
use crate::owner::NetworkAttachment;
use crate::port_map::loopback::{Towards, route_loopback, routes_loopback};
use crate::port_map::node::addresses_without_services;
use crate::port_map::{PortMap, Unmapped};
use crate::table::Table;
use crate::{FirewallError, Iptables, Nftables};

/// Maps ports of the node's addresses to a container, as [`Nftables::map_ports`], and also those of
/// its loopback address.
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
    let is_repeated = nftables.map_ports(network, attachment, map, node.as_deref())?;
    let finished = finish(&mut kernel, &mut nftables, network, attachment, map);
    // The port map of an earlier ADD stays.
    if finished.is_err() && !is_repeated {
        nftables.unmap_ports(network, attachment)?;
        let containers: Vec<_> = map.address_for_loopback().into_iter().collect();
        let towards = Towards {
            containers: &containers,
            ..Towards::default()
        };
        for table in Table::PORT_MAP {
            nftables.kernel.remove_if_unused(table, towards)?;
        }
    }
    finished
}

/// As [`map_ports`], by the programs of iptables, under the names of the Go plugin.
///
/// # Errors
/// As [`Iptables::map_ports`], and [`FirewallError::Sysctl`]; then nothing has changed, unless the
/// attachment had a port map before.
pub fn map_ports_by_iptables(
    network: &NetworkName,
    attachment: &Attachment,
    map: &PortMap<'_>,
    options: &IptablesOptions,
) -> Result<(), FirewallError> {
    let mut nftables = Nftables::open()?;
    let mut is_repeated = Iptables.map_ports(network, attachment, map, options)?;
    let mut finish = || {
        if let Some(container) = map.address_for_loopback() {
            route_loopback(&mut Rtnetlink::open()?, container)?;
        }
        // The configuration may have had the other backend.
        let unmapped = nftables.unmap_ports(network, attachment)?;
        is_repeated |= !unmapped.is_empty();
        let ports: Vec<_> = map.mapped_ports().collect();
        forget(&mut nftables, &ports, Forgotten::LeadingElsewhere)
    };
    let finished = finish();
    // The port map of an earlier ADD stays.
    if finished.is_err() && !is_repeated {
        Iptables.unmap_ports(Tables::Chosen, network, attachment)?;
    }
    finished
}

/// The steps after the rules exist.
fn finish(
    kernel: &mut Rtnetlink,
    nftables: &mut Nftables,
    network: &NetworkName,
    attachment: &Attachment,
    map: &PortMap<'_>,
) -> Result<(), FirewallError> {
    if let Some(container) = map.address_for_loopback() {
        route_loopback(kernel, container)?;
    }
    // Rules of the Go plugin take precedence over the new ones.
    let owner = NetworkAttachment {
        network,
        attachment,
    };
    nftables.kernel.remove_port_map_of_go(owner)?;
    if may_have_legacy_port_maps() {
        unless_not_installed(Iptables.unmap_ports(Tables::Legacy, network, attachment))?;
    }
    let ports: Vec<_> = map.mapped_ports().collect();
    forget(nftables, &ports, Forgotten::LeadingElsewhere)
}

/// Removes an attachment's port map, whatever has created it; it is no error if there is none.
///
/// Only programs can read the kernel's legacy iptables tables. They run if ports may have been
/// mapped by iptables (`may_be_by_iptables`), and if there are such tables.
///
/// # Errors
/// If a part may be left.
pub fn unmap_ports(
    network: &NetworkName,
    attachment: &Attachment,
    may_be_by_iptables: bool,
) -> Result<(), FirewallError> {
    let mut nftables = Nftables::open()?;
    let unmapped = nftables.unmap_ports(network, attachment)?;
    let owner = NetworkAttachment {
        network,
        attachment,
    };
    if may_be_by_iptables {
        // Programs that a killed ADD has started may not be done yet.
        let chain = port_map_chain(network.as_str(), attachment.container_id.as_str());
        drop(lock_chain(&chain)?);
    }
    nftables.kernel.remove_port_map_of_go(owner)?;
    if may_be_by_iptables && has_legacy_tables() {
        unless_not_installed(Iptables.unmap_ports(Tables::Legacy, network, attachment))?;
    }
    forget_unmapped(&mut nftables, &unmapped)
}

/// Removes the port maps of a network's stale attachments, and the tables once they are empty.
/// Repairs the rest.
///
/// # Errors
/// If a part may be left.
pub fn gc_port_maps(network: &NetworkName, valid: &ValidAttachments) -> Result<(), FirewallError> {
    let mut nftables = Nftables::open()?;
    let unmapped = nftables.gc_port_maps(network, valid)?;
    nftables
        .kernel
        .gc_port_maps_of_go(network.as_str(), valid)?;
    if has_legacy_tables() {
        unless_not_installed(Iptables.gc_port_maps(Tables::Legacy, network, valid))?;
    }
    forget_unmapped(&mut nftables, &unmapped)
}

fn forget_unmapped(nftables: &mut Nftables, unmapped: &[Unmapped]) -> Result<(), FirewallError> {
    let mapped_port = |it: &Unmapped| MappedPort {
        mapping: it.mapping,
        target: it.target,
    };
    let ports: Vec<_> = unmapped.iter().map(mapped_port).collect();
    forget(nftables, &ports, Forgotten::LeadingThere)
}

/// Deletes tracked connections to ports of the node's addresses.
fn forget(
    nftables: &mut Nftables,
    ports: &[MappedPort],
    forgotten: Forgotten,
) -> Result<(), FirewallError> {
    let mut node: Option<Vec<IpAddr>> = None;
    nftables.kernel.forget_connections(ports, forgotten, |ip| {
        if ip.is_loopback() {
            return Ok(true);
        }
        let node = match &mut node {
            Some(node) => node,
            None => {
                let all = Rtnetlink::open()?.all_addresses()?;
                let addresses = all.into_iter().map(|(_, address)| address.network.ip());
                node.insert(addresses.collect())
            }
        };
        Ok(node.contains(&ip))
    })
}

/// The first mapping of an attachment that is missing or has no effect; `None` if all have.
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
    missing_for_loopback(map)
}

/// As [`missing_port_map`], for rules of [`map_ports_by_iptables`].
///
/// # Errors
/// As [`Iptables::map_ports`].
pub fn missing_port_map_by_iptables(
    network: &NetworkName,
    attachment: &Attachment,
    map: &PortMap<'_>,
) -> Result<Option<Missing>, FirewallError> {
    let missing = Iptables.missing_port_map(network, attachment, map)?;
    if missing.is_some() {
        return Ok(missing);
    }
    missing_for_loopback(map)
}

fn missing_for_loopback(map: &PortMap<'_>) -> Result<Option<Missing>, FirewallError> {
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

/// The outcome of [`remove_loopback_guard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardRemoval {
    /// There is no such rule.
    Absent,
    /// The rule is removed.
    Removed,
    /// The rule stays, because `route_localnet` has to stay on.
    Needed,
}

/// Removes the rule of iptables by which [`map_ports_by_iptables`] guards the node's loopback
/// address, and turns `route_localnet` off on the links that lead to containers (`links` by their
/// names), unless a port map needs them or another program may. With `dry_run`, returns what would
/// become of the rule, and changes nothing.
///
/// # Errors
/// As [`Iptables::map_ports`].
pub fn remove_loopback_guard(
    links: &[String],
    dry_run: bool,
) -> Result<GuardRemoval, FirewallError> {
    let mut nftables = Nftables::open()?;
    let kernel = &mut nftables.kernel;
    let guards = Iptables.guards(kernel)?;
    if guards.is_empty() {
        return Ok(GuardRemoval::Absent);
    }
    if kernel.ask_one(&Table::PortMap4)?.is_some() {
        return Ok(GuardRemoval::Needed);
    }
    let towards = Towards {
        links,
        ..Towards::default()
    };
    let open = kernel.open_links(towards)?;
    let is_closed = if dry_run {
        open.can_be_closed()
    } else {
        open.close()
    };
    if !is_closed {
        return Ok(GuardRemoval::Needed);
    }
    if !dry_run {
        Iptables.remove_guards(&guards)?;
    }
    Ok(GuardRemoval::Removed)
}

/// Checks that ports can be mapped, without changing anything.
///
/// # Errors
/// [`FirewallError::Unsupported`] and others, as [`map_ports`].
pub fn probe_port_maps() -> Result<(), FirewallError> {
    Nftables::open()?.kernel.probe_port_map(Table::PortMap4)
}
