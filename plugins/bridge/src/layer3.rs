//! Gateways and default routes from IPAM's result. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni_types::{AddResult, IpConfig, Route};
use ipnetwork::IpNetwork;
use netlink::Family;

use crate::config::Config;
use crate::error::BridgeError;

/// The index of the container's end in the result's interfaces.
const CONTAINER: u32 = 2;

/// Completes IPAM's result to that of an ADD: adds the interface of the addresses, and the gateways
/// and default routes that this plugin sets.
///
/// # Errors
/// [`BridgeError::GatewaysAddress`].
pub(crate) fn complete(result: &mut AddResult, config: &Config) -> Result<(), BridgeError> {
    for index in 0..result.ips.len() {
        let Some(ip) = result.ips.get_mut(index) else {
            continue;
        };
        ip.interface = Some(CONTAINER);
        if ip.gateway.is_none() && config.is_gateway {
            ip.gateway = first_address(ip.address);
        }
        let (address, gateway) = (ip.address, ip.gateway);
        if config.is_gateway && gateway == Some(address.ip()) {
            return Err(BridgeError::GatewaysAddress(address));
        }
        let is_default =
            |route: &Route| route.dst.prefix() == 0 && route.dst.is_ipv4() == address.is_ipv4();
        if config.is_default_gateway && !result.routes.iter().any(is_default) {
            result.routes.extend(default_route(address, gateway));
        }
    }
    Ok(())
}

/// The gateways' addresses, with the prefix lengths of their networks. An unspecified one,
/// `0.0.0.0` or `::`, means on-link.
pub(crate) fn gateways(ips: &[IpConfig]) -> Vec<IpNetwork> {
    let gateway = |ip: &IpConfig| {
        let address = ip.gateway.filter(|address| !address.is_unspecified())?;
        IpNetwork::new(address, ip.address.prefix()).ok()
    };
    ips.iter().filter_map(gateway).collect()
}

/// The protocols that a gateway forwards: those of the containers' addresses.
pub(crate) fn families(ips: &[IpConfig]) -> impl Iterator<Item = Family> {
    let families = [Family::V4, Family::V6].into_iter();
    families.filter(|family| ips.iter().any(|ip| Family::of(ip.address.ip()) == *family))
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
}
