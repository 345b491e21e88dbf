//! Computes the netlink changes for an IPAM result; no I/O.

use std::collections::HashSet;
use std::net::IpAddr;

use cni_types::IpConfig;
use netlink::{MAIN_TABLE, Route};

use crate::ConfigureError;

/// The netlink route for a route of the result. Without a next hop, it leads through the first
/// gateway of its family, if there is one. An unspecified next hop or gateway, `0.0.0.0` or `::`,
/// means on-link (RFC 3442).
pub(crate) fn route(
    link: u32,
    ips: &[IpConfig],
    route: &cni_types::Route,
) -> Result<Route, ConfigureError> {
    let is_ipv4 = route.dst.is_ipv4();
    let scope = route.scope.unwrap_or(0);
    let scope = u8::try_from(scope).map_err(|_| ConfigureError::Scope {
        dst: route.dst,
        scope,
    })?;
    let next_hop = route.gw.or_else(|| gateway(ips, is_ipv4));
    let unless_zero = |number: Option<u32>| number.filter(|number| *number != 0);
    Ok(Route {
        gateway: next_hop.filter(|address| !address.is_unspecified()),
        link: Some(link),
        priority: unless_zero(route.priority),
        table: unless_zero(route.table).unwrap_or(MAIN_TABLE),
        // As with the Go plugins, also without a next hop.
        scope: Some(scope),
        mtu: unless_zero(route.mtu),
        advmss: unless_zero(route.advmss),
        ..Route::to(route.dst)
    })
}

/// The first gateway of a family.
pub(crate) fn gateway(ips: &[IpConfig], is_ipv4: bool) -> Option<IpAddr> {
    ips.iter()
        .filter_map(|ip| ip.gateway)
        .find(|gateway| gateway.is_ipv4() == is_ipv4)
}

/// All routes, each once.
pub(crate) fn routes(
    link: u32,
    ips: &[IpConfig],
    wanted: &[cni_types::Route],
) -> Result<Vec<Route>, ConfigureError> {
    let mut planned = Vec::with_capacity(wanted.len());
    let mut known = HashSet::with_capacity(wanted.len());
    for one in wanted {
        let one = route(link, ips, one)?;
        if known.insert(one) {
            planned.push(one);
        }
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips() -> Vec<IpConfig> {
        [
            ("10.1.1.2/24", None),
            ("10.1.2.2/24", Some("10.1.2.1")),
            ("10.1.3.2/24", Some("10.1.3.1")),
            ("fd00::2/64", Some("fd00::1")),
        ]
        .map(|(address, gateway)| IpConfig {
            interface: None,
            address: address.parse().unwrap(),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        })
        .into()
    }

    fn to(dst: &str) -> cni_types::Route {
        cni_types::Route::to(dst.parse().unwrap())
    }

    #[test]
    fn a_route_without_a_next_hop_goes_through_the_first_gateway_of_its_family() {
        let planned = routes(7, &ips(), &[to("0.0.0.0/0"), to("::/0"), to("0.0.0.0/0")]);
        let planned = planned.unwrap();
        assert_eq!(planned.len(), 2, "the third says what the first says");
        assert_eq!(planned[0].gateway, Some([10, 1, 2, 1].into()));
        assert_eq!(planned[1].gateway, Some("fd00::1".parse().unwrap()));
        assert_eq!(planned[0].table, MAIN_TABLE);
        let none = route(7, &[], &to("10.9.0.0/16")).unwrap();
        assert_eq!((none.gateway, none.scope), (None, Some(0)));
    }

    #[test]
    fn a_next_hop_that_is_unspecified_is_none() {
        let via = |dst: &str, gw: &str| {
            let wanted = cni_types::Route {
                gw: Some(gw.parse().unwrap()),
                ..to(dst)
            };
            route(7, &ips(), &wanted).unwrap().gateway
        };
        assert_eq!(via("10.9.0.0/16", "0.0.0.0"), None);
        assert_eq!(via("fd00:9::/48", "::"), None);
        // The first gateway counts, although only the second one is specified.
        let mut ips = ips();
        ips[0].gateway = Some([0, 0, 0, 0].into());
        assert_eq!(route(7, &ips, &to("0.0.0.0/0")).unwrap().gateway, None);
    }

    #[test]
    fn a_route_with_everything() {
        let wanted = cni_types::Route {
            gw: Some([10, 1, 1, 9].into()),
            mtu: Some(1400),
            advmss: Some(1360),
            priority: Some(50),
            table: Some(4711),
            scope: Some(253),
            ..to("10.9.0.0/16")
        };
        let expected = Route {
            gateway: wanted.gw,
            link: Some(7),
            priority: Some(50),
            table: 4711,
            scope: Some(253),
            mtu: Some(1400),
            advmss: Some(1360),
            ..Route::to(wanted.dst)
        };
        assert_eq!(route(7, &ips(), &wanted).unwrap(), expected);
        let zeros = cni_types::Route {
            gw: wanted.gw,
            mtu: Some(0),
            advmss: Some(0),
            priority: Some(0),
            table: Some(0),
            scope: Some(0),
            ..to("10.9.0.0/16")
        };
        let unset = cni_types::Route {
            gw: wanted.gw,
            ..to("10.9.0.0/16")
        };
        assert_eq!(
            route(7, &ips(), &zeros).unwrap(),
            route(7, &ips(), &unset).unwrap()
        );
    }

    #[test]
    fn a_scope_that_the_kernel_has_no_room_for() {
        let wanted = cni_types::Route {
            scope: Some(256),
            ..to("10.9.0.0/16")
        };
        let error = route(7, &ips(), &wanted).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ipam: route to 10.9.0.0/16 has scope 256: the largest is 255"
        );
    }
}
