//! Routes.
//!
//! ```text
//! struct rtmsg
//!  0       1       2       3       4       5       6       7       8       12
//! +-------+-------+-------+-------+-------+-------+-------+-------+-------+------------- - -
//! | family| prefix| 0     | tos   | table | proto | scope | type  | flags | attributes
//! +-------+-------+-------+-------+-------+-------+-------+-------+-------+------------- - -
//! ```
//!
//! `prefix` is the length of the destination's prefix. The table is an attribute too (`RTA_TABLE`),
//! since there are more than 255.
//!
//! A route with several next hops has an attribute that consists of them (`RTA_MULTIPATH`):
//!
//! ```text
//!  0       2       3       4       8
//! +-------+-------+-------+-------+------------- - -
//! | length| flags | weight| index | attributes         struct rtnexthop
//! +-------+-------+-------+-------+------------- - -
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use nix::libc;

use crate::address::network;
use crate::attributes::{Attributes, Malformed, ip_of, read, u16_of, u32_of};
use crate::uapi::{RTAX_ADVMSS, RTAX_MTU, RTNH_F_ONLINK};
use crate::{Answer, Family, KernelMessage, KernelRequest};

/// The length of `struct rtmsg`.
const ROUTE_HEADER: usize = 12;

/// The length of `struct rtnexthop`.
const NEXT_HOP_HEADER: usize = 8;

/// The table that is used unless a rule selects another one.
pub const MAIN_TABLE: u32 = libc::RT_TABLE_MAIN as u32;

/// A unicast route. [`Route::to`] leaves everything but the destination to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The destination; its host bits are ignored.
    pub destination: IpNetwork,
    /// The next hop, of the destination's protocol.
    pub gateway: Option<IpAddr>,
    /// The index of the link that it leaves by.
    pub link: Option<u32>,
    /// The source address of packets whose sender does not choose one.
    pub source: Option<IpAddr>,
    /// The metric; lower wins. If `None`, 0 with IPv4 and 1024 with IPv6.
    pub priority: Option<u32>,
    /// The table.
    pub table: u32,
    /// The scope: 0 global, 253 link, 254 host. If `None`, global with a gateway and else link, as
    /// in iproute2. IPv6 has no scopes.
    pub scope: Option<u8>,
    /// The MTU in bytes.
    pub mtu: Option<u32>,
    /// The largest TCP segment to announce to others, in bytes.
    pub advmss: Option<u32>,
    /// Whether the next hop is on-link although no route leads to it.
    pub is_onlink: bool,
}

/// The handling of an existing route to the same destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Fail with `EEXIST` if one has the same metric.
    Refuse,
    /// Add another next hop, as the Go plugins do; fail with `EEXIST` if an identical one exists.
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

    /// Whether it is a default route.
    pub fn is_default(&self) -> bool {
        self.destination.prefix() == 0
    }

    /// The message that adds the route.
    pub(crate) fn message_to_add(&self) -> Attributes {
        let scope = match (self.scope, self.gateway) {
            (Some(scope), _) => scope,
            (None, Some(_)) => libc::RT_SCOPE_UNIVERSE,
            (None, None) => libc::RT_SCOPE_LINK,
        };
        self.message(libc::RTPROT_BOOT, scope)
    }

    /// The message that removes the route.
    pub(crate) fn message_to_delete(&self) -> Attributes {
        let scope = self.scope.unwrap_or(libc::RT_SCOPE_NOWHERE);
        self.message(libc::RTPROT_UNSPEC, scope)
    }

    fn message(&self, protocol: u8, scope: u8) -> Attributes {
        let flags = if self.is_onlink { RTNH_F_ONLINK } else { 0 };
        let metrics = Attributes::new()
            .with(self.mtu, |to, mtu| to.u32(RTAX_MTU, mtu))
            .with(self.advmss, |to, advmss| to.u32(RTAX_ADVMSS, advmss));
        Header {
            family: Family::of(self.destination.ip()),
            prefix: self.destination.prefix(),
            table: self.table,
            protocol,
            scope,
            kind: libc::RTN_UNICAST,
            flags,
        }
        .attributes()
        .ip(libc::RTA_DST, self.destination.network())
        .with(self.gateway, |to, ip| to.ip(libc::RTA_GATEWAY, ip))
        .with(self.link, |to, link| to.u32(libc::RTA_OIF, link))
        .with(self.source, |to, ip| to.ip(libc::RTA_PREFSRC, ip))
        .with(self.priority, |to, priority| {
            to.u32(libc::RTA_PRIORITY, priority)
        })
        .with(Some(metrics).filter(|it| !it.is_empty()), |to, metrics| {
            to.nest_unmarked(libc::RTA_METRICS, metrics)
        })
    }

    /// The route in words, with a name for its link.
    pub(crate) fn describe(&self, link: &str) -> String {
        let mut text = format!("route to {}", self.destination);
        if let Some(gateway) = self.gateway {
            text = format!("{text} via {gateway}");
        }
        if self.link.is_some() {
            text = format!("{text} by link {link}");
        }
        text
    }

    /// One for each next hop of a unicast route, and none for other routes.
    pub(crate) fn parse(reply: &KernelMessage<'_>) -> Result<Vec<Self>, Malformed> {
        let &[family, prefix, _, _, table, _, scope, kind, ..] = &*reply.payload else {
            return Err(Malformed("a route has no header"));
        };
        let anywhere: IpAddr = match Family::of_number(family) {
            Some(Family::V4) => Ipv4Addr::UNSPECIFIED.into(),
            Some(Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
            None => return Ok(Vec::new()),
        };
        if kind != libc::RTN_UNICAST {
            return Ok(Vec::new());
        }
        let flags = reply.payload.get(8..12).map_or(Ok(0), u32_of)?;
        let (mut destination, mut next_hops) = (anywhere, &[][..]);
        let mut route = Self::to(anywhere.into());
        route.table = u32::from(table);
        route.scope = Some(scope);
        route.is_onlink = flags & RTNH_F_ONLINK != 0;
        for attribute in reply.attributes(ROUTE_HEADER) {
            let (number, value) = attribute?;
            match number {
                libc::RTA_DST => {
                    destination = ip_of(value).ok_or(Malformed("a route has no destination"))?;
                }
                libc::RTA_GATEWAY => route.gateway = ip_of(value),
                libc::RTA_PREFSRC => route.source = ip_of(value),
                libc::RTA_OIF => route.link = Some(u32_of(value)?),
                libc::RTA_PRIORITY => route.priority = Some(u32_of(value)?),
                libc::RTA_TABLE => route.table = u32_of(value)?,
                libc::RTA_METRICS => {
                    for metric in read(value) {
                        match metric? {
                            (RTAX_MTU, value) => route.mtu = Some(u32_of(value)?),
                            (RTAX_ADVMSS, value) => route.advmss = Some(u32_of(value)?),
                            _ => {}
                        }
                    }
                }
                libc::RTA_MULTIPATH => next_hops = value,
                _ => {}
            }
        }
        route.destination = network(destination, prefix)?;
        if next_hops.is_empty() {
            return Ok(vec![route]);
        }
        let mut routes = Vec::new();
        while !next_hops.is_empty() {
            routes.push(route.take_next_hop(&mut next_hops)?);
        }
        Ok(routes)
    }

    /// This route with the first of several next hops, which is taken off.
    fn take_next_hop(&self, next_hops: &mut &[u8]) -> Result<Self, Malformed> {
        let cut_off = Malformed("a next hop is cut off");
        let length = usize::from(u16_of(next_hops.get(..2).ok_or(cut_off)?)?);
        let next_hop = next_hops.get(..length).ok_or(cut_off)?;
        let link = u32_of(next_hop.get(4..NEXT_HOP_HEADER).ok_or(cut_off)?)?;
        let mut route = Self {
            link: Some(link),
            ..*self
        };
        for attribute in read(next_hop.get(NEXT_HOP_HEADER..).unwrap_or_default()) {
            if let (libc::RTA_GATEWAY, value) = attribute? {
                route.gateway = ip_of(value);
            }
        }
        *next_hops = next_hops
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Ok(route)
    }
}

/// `struct rtmsg` of a message to the kernel, with the attribute for the table.
struct Header {
    family: Family,
    prefix: u8,
    table: u32,
    protocol: u8,
    scope: u8,
    kind: u8,
    flags: u32,
}

impl Header {
    /// The `struct rtmsg` of a question.
    fn to_ask(family: Family, table: u32) -> Self {
        Self {
            family,
            prefix: 0,
            table,
            protocol: libc::RTPROT_UNSPEC,
            scope: libc::RT_SCOPE_UNIVERSE,
            kind: libc::RTN_UNSPEC,
            flags: 0,
        }
    }

    fn attributes(&self) -> Attributes {
        self.fields().u32(libc::RTA_TABLE, self.table)
    }

    fn fields(&self) -> Attributes {
        // The header has no room for large numbers of tables.
        let table = u8::try_from(self.table).unwrap_or(libc::RT_TABLE_UNSPEC);
        let fields = [
            self.family.number(),
            self.prefix,
            0,
            0,
            table,
            self.protocol,
            self.scope,
            self.kind,
        ];
        Attributes::after(&[&fields[..], &self.flags.to_ne_bytes()].concat())
    }
}

/// The request for the route that packets to an address take.
pub(crate) fn towards_request(address: IpAddr) -> KernelRequest {
    let family = Family::of(address);
    let header = Header {
        prefix: match family {
            Family::V4 => 32,
            Family::V6 => 128,
        },
        ..Header::to_ask(family, 0)
    };
    KernelRequest {
        what: format!("find the route to {address}"),
        message_type: libc::RTM_GETROUTE,
        flags: 0,
        payload: header.fields().ip(libc::RTA_DST, address).into_bytes(),
        answer: Answer::Message,
    }
}

/// The index of the link in a message about a route, of any type.
pub(crate) fn link_of(reply: &KernelMessage<'_>) -> Result<Option<u32>, Malformed> {
    for attribute in reply.attributes(ROUTE_HEADER) {
        if let (libc::RTA_OIF, value) = attribute? {
            return u32_of(value).map(Some);
        }
    }
    Ok(None)
}

/// The request for the routes of a table, or of all tables with the number 0; by one link only if
/// one is given.
pub(crate) fn list_request(family: Family, table: u32, link: Option<u32>) -> KernelRequest {
    let attributes = Header::to_ask(family, table)
        .attributes()
        .with(link, |to, link| to.u32(libc::RTA_OIF, link));
    KernelRequest {
        what: format!("list routes of table {table}"),
        message_type: libc::RTM_GETROUTE,
        flags: 0,
        payload: attributes.into_bytes(),
        answer: Answer::Message,
    }
}

/// Whether a route leads to an address of this namespace.
pub(crate) fn is_local(reply: &KernelMessage<'_>) -> bool {
    reply.payload.get(7) == Some(&libc::RTN_LOCAL)
}
