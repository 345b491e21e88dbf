//! What IPAM's result means for the container: gateways and routes. Nothing here changes anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni_types::{AddResult, IpConfig, Route};
use ipnetwork::IpNetwork;

use crate::config::Config;

/// Where the container's end stands in the result's interfaces.
const CONTAINER: u32 = 2;

/// Makes IPAM's result that of an ADD: with the interface that has the addresses, and with the gateways and default routes
/// that are up to this plugin.
pub(crate) fn complete(result: &mut AddResult, config: &Config) {
    for index in 0..result.ips.len() {
        let Some(ip) = result.ips.get_mut(index) else {
            continue;
        };
        ip.interface = Some(CONTAINER);
        if ip.gateway.is_none() && config.is_gateway {
            ip.gateway = first_address(ip.address);
        }
        let (address, gateway) = (ip.address, ip.gateway);
        let is_default =
            |route: &Route| route.dst.prefix() == 0 && route.dst.is_ipv4() == address.is_ipv4();
        if config.is_default_gateway && !result.routes.iter().any(is_default) {
            result.routes.extend(default_route(address, gateway));
        }
    }
}

/// The gateways' addresses, with the prefix lengths of their networks.
pub(crate) fn gateways(ips: &[IpConfig]) -> Vec<IpNetwork> {
    let gateway = |ip: &IpConfig| IpNetwork::new(ip.gateway?, ip.address.prefix()).ok();
    ips.iter().filter_map(gateway).collect()
}

/// The routes of a result as they are in the kernel, by a link of the container; each once.
pub(crate) fn routes(result: &AddResult, link: u32) -> Vec<netlink::Route> {
    let mut routes = Vec::new();
    for route in &result.routes {
        let route = netlink::Route {
            gateway: route
                .gw
                .or_else(|| gateway_of_family(&result.ips, route.dst)),
            link: Some(link),
            priority: route.priority.filter(|priority| *priority != 0),
            // As the Go plugins have it, whether there is a gateway or not.
            scope: Some(
                route
                    .scope
                    .and_then(|scope| scope.try_into().ok())
                    .unwrap_or(0),
            ),
            mtu: route.mtu.filter(|mtu| *mtu != 0),
            advmss: route.advmss.filter(|advmss| *advmss != 0),
            table: route
                .table
                .filter(|table| *table != 0)
                .unwrap_or(netlink::MAIN_TABLE),
            ..netlink::Route::to(route.dst)
        };
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    routes
}

/// A route without a next hop goes by the first gateway of its protocol.
fn gateway_of_family(ips: &[IpConfig], destination: IpNetwork) -> Option<IpAddr> {
    let gateways = ips.iter().filter_map(|ip| ip.gateway);
    gateways
        .into_iter()
        .find(|gateway| gateway.is_ipv4() == destination.is_ipv4())
}

/// The default route of an address's protocol.
fn default_route(address: IpNetwork, gateway: Option<IpAddr>) -> Option<Route> {
    let unspecified: IpAddr = match address {
        IpNetwork::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpNetwork::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Some(Route {
        gw: gateway,
        ..Route::to(IpNetwork::new(unspecified, 0).ok()?)
    })
}

/// The address after the network's own.
fn first_address(network: IpNetwork) -> Option<IpAddr> {
    Some(match network.network() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().checked_add(1)?).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().checked_add(1)?).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_a_network() {
        for (network, first) in [
            ("10.1.1.130/25", Some("10.1.1.129")),
            ("fd00:1::130/112", Some("fd00:1::1")),
            ("10.1.1.7/32", Some("10.1.1.8")),
            ("255.255.255.255/32", None),
        ] {
            let found = first_address(network.parse().unwrap());
            assert_eq!(
                found.map(|ip| ip.to_string()).as_deref(),
                first,
                "{network}"
            );
        }
    }

    #[test]
    fn routes_go_by_the_gateway_of_their_protocol_and_each_once() {
        let ip = |address: &str, gateway: &str| IpConfig {
            interface: None,
            address: address.parse().unwrap(),
            gateway: Some(gateway.parse().unwrap()),
        };
        let to = |dst: &str| Route::to(dst.parse().unwrap());
        let result = AddResult {
            ips: vec![
                ip("fd00:1::2/64", "fd00:1::1"),
                ip("10.1.1.2/24", "10.1.1.1"),
                ip("10.2.2.2/24", "10.2.2.1"),
            ],
            routes: vec![to("10.9.0.0/16"), to("fd00:9::/48"), to("10.9.0.0/16")],
            ..AddResult::default()
        };
        let told: Vec<_> = routes(&result, 7)
            .iter()
            .map(|route| {
                (
                    route.destination.to_string(),
                    route.gateway.unwrap().to_string(),
                )
            })
            .collect();
        let expected = [("10.9.0.0/16", "10.1.1.1"), ("fd00:9::/48", "fd00:1::1")];
        let expected = expected.map(|(dst, gw)| (dst.to_owned(), gw.to_owned()));
        assert_eq!(told, expected);
    }
}
