//! The bridge's addresses.

use std::net::IpAddr;

use cni_types::json::Object;
use ipnetwork::IpNetwork;
use netlink::OWN_PROTOCOL;
use node::{Network, Node, NodeLink};

use super::{Facts, Fault, Repair};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let node = &facts.node;
    node.networks.iter().flat_map(|it| of(node, it)).collect()
}

fn of(node: &Node, network: &Network) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some((bridge, gateways)) = expected(network) else {
        return faults;
    };
    // Without a bridge, the next ADD creates one.
    let links = node.links.as_ref().ok();
    let Some(it) = links.and_then(|links| links.by_name(&bridge)) else {
        return faults;
    };
    let has = |address: IpAddr| it.addresses.iter().any(|it| it.network.ip() == address);
    let missing: Vec<IpNetwork> = gateways
        .iter()
        .copied()
        .filter(|it| !has(it.ip()))
        .collect();
    for gateway in &missing {
        faults.push(Fault {
            kind: "bridge-without-gateway",
            subject: format!("{gateway} on {bridge}"),
            evidence: format!("{bridge} does not have the gateway's address of {}", network.name),
            effect: "containers do not reach anything beyond the bridge",
            command: format!("twill repair bridge-without-gateway --apply, or: ip address add {gateway} dev {bridge}"),
            repair: Some(Repair::AddAddress {
                link: bridge.clone(),
                address: *gateway,
            }),
        });
    }
    for address in &it.addresses {
        let ip = address.network.ip();
        let is_own = address.given.protocol == OWN_PROTOCOL;
        let is_current = gateways.iter().any(|gateway| gateway.ip() == ip);
        if is_own && !is_current {
            faults.push(old_address(node, it, address.network));
        }
    }
    faults
}

/// A bridge's address of an earlier lease. While containers use it, its removal would take their
/// gateway from them.
fn old_address(node: &Node, bridge: &NodeLink, address: IpNetwork) -> Fault {
    const GIVEN: &str = "a plugin gave it for an earlier lease";
    let name = &bridge.link.name;
    let users = users(node, bridge, address);
    let (evidence, command, repair) = match users.as_deref() {
        Some([]) => (
            GIVEN.to_owned(),
            format!(
                "twill repair bridge-with-old-address --apply, or: ip address del {address} dev \
                 {name}"
            ),
            Some(Repair::DeleteAddress {
                link: name.clone(),
                address,
            }),
        ),
        Some(users) => (
            format!("{GIVEN}, and is the gateway of {}", users.join(", ")),
            "delete the pods or containers that use it: their successors get addresses of the \
             present lease, and then this fault can be repaired"
                .to_owned(),
            None,
        ),
        None => (
            format!("{GIVEN}; containers may use it: not all network namespaces can be read"),
            "run it as root, so that the containers can be seen".to_owned(),
            None,
        ),
    };
    Fault {
        kind: "bridge-with-old-address",
        subject: format!("{address} on {name}"),
        evidence,
        effect: "packets to the node that has this subnet now stay on this one",
        command,
        repair,
    }
}

/// The addresses of the subnet that containers of a bridge have; `None` if the bridge has ports,
/// and not all containers can be seen.
fn users(node: &Node, bridge: &NodeLink, subnet: IpNetwork) -> Option<Vec<String>> {
    let links = node.links.as_ref().ok()?;
    if links.ports_of(bridge.link.index).next().is_none() {
        return Some(Vec::new());
    }
    let namespaces = node.namespaces.as_ref().ok()?;
    if !namespaces.unread.is_empty() {
        return None;
    }
    let is_port = |end: Option<u32>| {
        let end = end.and_then(|end| links.by_index(end));
        end.is_none_or(|end| end.link.master == Some(bridge.link.index))
    };
    let of_subnet = node
        .sightings
        .addresses()
        .filter(|(address, _)| subnet.contains(*address));
    let used = of_subnet.filter(|(_, places)| places.iter().any(|it| is_port(it.node_end)));
    let mut used: Vec<_> = used.map(|(address, _)| address).collect();
    used.sort_unstable();
    Some(used.iter().map(ToString::to_string).collect())
}

/// The bridge of a network for which it is the gateway, and the gateways' addresses.
fn expected(network: &Network) -> Option<(String, Vec<IpNetwork>)> {
    let bridge = network.bridge()?;
    let conf: &Object = network.conf.as_ref().ok()?.as_ref()?;
    let is = |key: &str| conf.decode::<bool>(key).ok().flatten() == Some(true);
    let vlan: Option<u32> = conf.decode("vlan").ok().flatten();
    // With a VLAN, the gateways are on a link of it.
    if !(is("isGateway") || is("isDefaultGateway")) || vlan.is_some_and(|vlan| vlan != 0) {
        return None;
    }
    let sets = network.ranges.as_ref().ok()?.as_ref()?;
    let ranges = sets.iter().filter_map(|set| set.ranges().first());
    let gateways =
        ranges.filter_map(|range| IpNetwork::new(range.gateway(), range.subnet().prefix()).ok());
    Some((bridge, gateways.collect()))
}
