//! Routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use netlink_packet_core::{DecodeError, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope,
    RouteType,
};
use nix::libc;

use crate::address::ip_of;
use crate::reply::{Reply, attributes_of, u16_of, u32_of};
use crate::subject::LINK;
use crate::{Answer, Change, Family, Request};

/// The length of `struct rtmsg`.
const ROUTE_HEADER: usize = 12;

/// The length of `struct rtnexthop`.
const WAY_HEADER: usize = 8;

/// The table that is used unless a rule says something else (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

// linux/rtnetlink.h
const RTAX_MTU: u16 = 2;
const RTAX_ADVMSS: u16 = 8;
const RTNH_F_ONLINK: u32 = 4;

/// A unicast route. [`Route::to`] leaves everything but the destination to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The destination; its host bits do not count.
    pub destination: IpNetwork,
    /// The next hop, of the destination's protocol.
    pub gateway: Option<IpAddr>,
    /// The index of the link it goes out by.
    pub link: Option<u32>,
    /// The address that packets are from, where their sender does not choose.
    pub source: Option<IpAddr>,
    /// The metric; lower wins. If `None`, 0 with IPv4 and 1024 with IPv6.
    pub priority: Option<u32>,
    /// The table.
    pub table: u32,
    /// How far away the destination is: 0 anywhere, 253 on the link, 254 on this machine. If
    /// `None`, anywhere through a gateway and else on the link, as iproute2 has it. IPv6 has no
    /// scopes.
    pub scope: Option<u8>,
    /// The MTU in bytes.
    pub mtu: Option<u32>,
    /// The largest TCP segment to tell others in bytes.
    pub advmss: Option<u32>,
    /// Whether the gateway is on the link though no route says so.
    pub is_onlink: bool,
}

/// What to do about a route to the same destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Fail with `EEXIST` if one has the same metric.
    Refuse,
    /// Add another way, as the Go plugins do; fail with `EEXIST` if it is the same in everything.
    Join,
    /// Replace it if it has the same metric.
    Replace,
}

impl Route {
    /// A route in the main table.
    pub fn to(destination: IpNetwork) -> Self {
        Self {
            destination,
            gateway: None,
            link: None,
            source: None,
            priority: None,
            table: MAIN_TABLE,
            scope: None,
            mtu: None,
            advmss: None,
            is_onlink: false,
        }
    }

    /// Whether it is for everything that no other route is for.
    pub fn is_default(&self) -> bool {
        self.destination.prefix() == 0
    }

    fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        let header = &mut message.header;
        header.address_family = Family::of(self.destination.ip()).number();
        header.destination_prefix_length = self.destination.prefix();
        header.table = short_table(self.table);
        header.protocol = RouteProtocol::Boot;
        header.kind = RouteType::Unicast;
        header.scope = match (self.scope, self.gateway) {
            (Some(scope), _) => RouteScope::from(scope),
            (None, Some(_)) => RouteScope::Universe,
            (None, None) => RouteScope::Link,
        };
        header.flags.set(RouteFlags::Onlink, self.is_onlink);
        let attributes = &mut message.attributes;
        let network = self.destination.network();
        attributes.push(RouteAttribute::Destination(network.into()));
        attributes.push(RouteAttribute::Table(self.table));
        attributes.extend(self.gateway.map(|ip| RouteAttribute::Gateway(ip.into())));
        attributes.extend(self.link.map(RouteAttribute::Oif));
        attributes.extend(self.source.map(|ip| RouteAttribute::PrefSource(ip.into())));
        attributes.extend(self.priority.map(RouteAttribute::Priority));
        let metrics = [
            self.mtu.map(RouteMetric::Mtu),
            self.advmss.map(RouteMetric::Advmss),
        ];
        let metrics: Vec<_> = metrics.into_iter().flatten().collect();
        if !metrics.is_empty() {
            attributes.push(RouteAttribute::Metrics(metrics));
        }
        message
    }

    fn describe(&self) -> String {
        let mut text = format!("route to {}", self.destination);
        if let Some(gateway) = self.gateway {
            text = format!("{text} via {gateway}");
        }
        if self.link.is_some() {
            text = format!("{text} by link {LINK}");
        }
        text
    }

    /// One for each way that a unicast route has, and none for other routes.
    pub(crate) fn parse(reply: &Reply<'_>) -> Result<Vec<Self>, DecodeError> {
        let &[family, prefix, _, _, table, _, scope, kind, ..] = reply.payload else {
            return Err("a route without a header".into());
        };
        let anywhere: IpAddr = match i32::from(family) {
            libc::AF_INET => Ipv4Addr::UNSPECIFIED.into(),
            libc::AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return Ok(Vec::new()),
        };
        if kind != libc::RTN_UNICAST {
            return Ok(Vec::new());
        }
        let flags = reply.payload.get(8..12).map_or(Ok(0), u32_of)?;
        let (mut destination, mut ways) = (anywhere, &[][..]);
        let mut route = Self::to(anywhere.into());
        route.table = u32::from(table);
        route.scope = Some(scope);
        route.is_onlink = flags & RTNH_F_ONLINK != 0;
        for attribute in attributes_of(reply.payload.get(ROUTE_HEADER..).unwrap_or_default()) {
            let (number, value) = attribute?;
            match number {
                libc::RTA_DST => destination = ip_of(value).ok_or("a route to no address")?,
                libc::RTA_GATEWAY => route.gateway = ip_of(value),
                libc::RTA_PREFSRC => route.source = ip_of(value),
                libc::RTA_OIF => route.link = Some(u32_of(value)?),
                libc::RTA_PRIORITY => route.priority = Some(u32_of(value)?),
                libc::RTA_TABLE => route.table = u32_of(value)?,
                libc::RTA_METRICS => {
                    for metric in attributes_of(value) {
                        match metric? {
                            (RTAX_MTU, value) => route.mtu = Some(u32_of(value)?),
                            (RTAX_ADVMSS, value) => route.advmss = Some(u32_of(value)?),
                            _ => {}
                        }
                    }
                }
                libc::RTA_MULTIPATH => ways = value,
                _ => {}
            }
        }
        route.destination =
            IpNetwork::new(destination, prefix).map_err(|error| error.to_string())?;
        if ways.is_empty() {
            return Ok(vec![route]);
        }
        let mut routes = Vec::new();
        while !ways.is_empty() {
            routes.push(route.take_way(&mut ways)?);
        }
        Ok(routes)
    }

    /// This route with the first of several ways (`struct rtnexthop` and its attributes), which is
    /// taken off.
    fn take_way(&self, ways: &mut &[u8]) -> Result<Self, DecodeError> {
        let malformed = "a route with a malformed way";
        let length = usize::from(u16_of(ways.get(..2).ok_or(malformed)?)?);
        let way = ways.get(..length).ok_or(malformed)?;
        let link = u32_of(way.get(4..WAY_HEADER).ok_or(malformed)?)?;
        let mut route = Self {
            link: Some(link),
            ..*self
        };
        for attribute in attributes_of(way.get(WAY_HEADER..).unwrap_or_default()) {
            if let (libc::RTA_GATEWAY, value) = attribute? {
                route.gateway = ip_of(value);
            }
        }
        *ways = ways.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok(route)
    }
}

impl Change<'_> {
    /// Adds a route.
    pub fn add_route(route: &Route, existing: Existing) -> Self {
        let (verb, flags) = match existing {
            Existing::Refuse => ("add", NLM_F_CREATE | NLM_F_EXCL),
            Existing::Join => ("add", NLM_F_CREATE),
            Existing::Replace => ("replace", NLM_F_CREATE | NLM_F_REPLACE),
        };
        Self::new(
            format!("{verb} {}", route.describe()),
            RouteNetlinkMessage::NewRoute(route.message()),
            flags,
        )
    }

    /// Removes a route that agrees in everything that is given.
    pub fn delete_route(route: &Route) -> Self {
        let mut message = route.message();
        if route.scope.is_none() {
            message.header.scope = RouteScope::NoWhere;
        }
        message.header.protocol = RouteProtocol::Unspec;
        Self::new(
            format!("remove {}", route.describe()),
            RouteNetlinkMessage::DelRoute(message),
            0,
        )
    }
}

/// Asks for the routes of a table, by one link only if one is given.
pub(crate) fn list_request(
    family: Family,
    table: u32,
    link: Option<u32>,
) -> Request<RouteNetlinkMessage> {
    let mut message = RouteMessage::default();
    message.header.address_family = family.number();
    message.header.table = short_table(table);
    message.attributes.push(RouteAttribute::Table(table));
    message.attributes.extend(link.map(RouteAttribute::Oif));
    Request {
        what: format!("list routes of table {table}"),
        payload: RouteNetlinkMessage::GetRoute(message),
        flags: 0,
        answer: Answer::Message,
    }
}

/// A table's number in a route's header, which has no room for large ones.
fn short_table(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC)
}
