//! The bridge's addresses.

use std::net::IpAddr;

use cni_types::json::Object;
use ipnetwork::IpNetwork;
use netlink::OWN_PROTOCOL;
use node::{Network, NodeLinks};

use super::{Facts, Fault, Repair};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let Ok(links) = &facts.node.links else {
        return Vec::new();
    };
    let networks = facts.node.networks.iter();
    networks.flat_map(|network| of(network, links)).collect()
}

fn of(network: &Network, links: &NodeLinks) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some((bridge, gateways)) = expected(network) else {
        return faults;
    };
    // Without a bridge, the next ADD creates one.
    let Some(it) = links.by_name(&bridge) else {
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
            faults.push(Fault {
                kind: "bridge-with-old-address",
                subject: format!("{} on {bridge}", address.network),
                evidence: "a plugin gave it for an earlier lease".to_owned(),
                effect: "packets to the node that has this subnet now stay on this one",
                command: format!(
                    "twill repair bridge-with-old-address --apply, or: ip address del {} dev \
                     {bridge}",
                    address.network
                ),
                repair: Some(Repair::DeleteAddress {
                    link: bridge.clone(),
                    address: address.network,
                }),
            });
        }
    }
    faults
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
