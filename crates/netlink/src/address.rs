//! Addresses of links.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use netlink_packet_core::{DecodeError, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;

use crate::reply::{Reply, attributes_of, text_of, u8_of, u32_of};
use crate::subject::LINK;
use crate::{Answer, Change, Request};

/// The length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

// linux/if_addr.h, where the libc crate does not have it.
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;

/// A lifetime without end, in seconds (`INFINITY_LIFE_TIME`).
const FOREVER: u32 = u32::MAX;

/// Flags that are set by who gives the address; the kernel sets the others.
const GIVEN_FLAGS: u32 =
    libc::IFA_F_NODAD | libc::IFA_F_HOMEADDRESS | libc::IFA_F_MANAGETEMPADDR | NOPREFIXROUTE;
const NOPREFIXROUTE: u32 = libc::IFA_F_NOPREFIXROUTE;

/// An internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The address, with the length of its network's prefix.
    pub network: IpNetwork,
    /// Who gave it, as a number that those who give addresses choose (`IFA_PROTO`); 0 if nobody
    /// said so, and with kernels before 5.18.
    pub protocol: u8,
    /// How it was given.
    pub given: Given,
    /// Whether it may not be used yet: the link is still being asked whether another machine has it
    /// (RFC 4862).
    pub is_tentative: bool,
    /// Whether another machine has it.
    pub is_duplicate: bool,
}

/// How an address was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// How far it is known: 0 anywhere, 253 on the link, 254 on this machine.
    pub scope: u8,
    /// The name that an IPv4 address goes by; that of its link by default.
    pub label: Option<String>,
    /// The IPv4 network's broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// The other end's address, on a link between two points.
    pub peer: Option<IpAddr>,
    /// The metric of the route to its network; the kernel's choice by default.
    pub metric: Option<u32>,
    /// For how many more seconds it is preferred, and valid; `None` means without end.
    pub lifetime: Option<(u32, u32)>,
    /// The flags that are up to who gives it (`IFA_F_NODAD` and others).
    pub flags: u32,
}

impl Given {
    /// As [`Change::add_address`] gives an address, and iproute2 does with `broadcast +`.
    fn plain(address: IpNetwork) -> Self {
        Self {
            scope: 0,
            label: None,
            broadcast: match address {
                IpNetwork::V4(v4) if v4.prefix() < 31 => Some(v4.broadcast()),
                _ => None,
            },
            peer: None,
            metric: None,
            lifetime: None,
            flags: 0,
        }
    }
}

impl Family {
    /// The protocol that an address is of.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    pub(crate) fn number(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::Inet,
            Self::V6 => AddressFamily::Inet6,
        }
    }
}

impl Change<'_> {
    /// Gives a link an address and the route to its network. An IPv4 address gets its broadcast
    /// address too.
    ///
    /// Without `detect_duplicates` an IPv6 address can be used at once; IPv4 does not ask anyhow.
    pub fn add_address(link: u32, address: IpNetwork, detect_duplicates: bool) -> Self {
        let flags = if address.is_ipv6() && !detect_duplicates {
            libc::IFA_F_NODAD
        } else {
            0
        };
        let given = Given {
            flags,
            ..Given::plain(address)
        };
        Self::new_address(link, address, &given, 0, NLM_F_EXCL)
    }

    /// As [`Change::add_address`] without looking for duplicates, and with who gave it
    /// ([`LinkAddress::protocol`]).
    pub fn add_address_of(protocol: u8, link: u32, address: IpNetwork) -> Self {
        let given = Given {
            flags: libc::IFA_F_NODAD,
            ..Given::plain(address)
        };
        Self::new_address(link, address, &given, protocol, NLM_F_EXCL)
    }

    /// Gives a link an address that it had, in the same way.
    pub fn restore_address(link: u32, address: &LinkAddress) -> Self {
        let protocol = address.protocol;
        Self::new_address(link, address.network, &address.given, protocol, NLM_F_EXCL)
    }

    /// Notes who gave an address that a link has. Kernels before 5.18 do not.
    pub fn note_protocol(protocol: u8, link: u32, address: &LinkAddress) -> Self {
        Self::new_address(
            link,
            address.network,
            &address.given,
            protocol,
            NLM_F_REPLACE,
        )
    }

    fn new_address(
        link: u32,
        address: IpNetwork,
        given: &Given,
        protocol: u8,
        existing: u16,
    ) -> Self {
        let mut message = message(link, address, given.peer);
        message.header.scope = AddressScope::from(given.scope);
        let attributes = &mut message.attributes;
        attributes.extend(given.label.clone().map(AddressAttribute::Label));
        attributes.extend(given.broadcast.map(AddressAttribute::Broadcast));
        attributes.extend(given.metric.map(AddressAttribute::RoutePriority));
        if let Some((preferred, valid)) = given.lifetime {
            let mut lifetime = CacheInfo::default();
            lifetime.ifa_preferred = preferred;
            lifetime.ifa_valid = valid;
            attributes.push(AddressAttribute::CacheInfo(lifetime));
        }
        // IPv4 knows no duplicate address detection, and keeps the flag nevertheless.
        let flags = match address {
            IpNetwork::V4(_) => given.flags & !libc::IFA_F_NODAD,
            IpNetwork::V6(_) => given.flags,
        };
        if flags != 0 {
            let flags = AddressFlags::from_bits_retain(flags);
            attributes.push(AddressAttribute::Flags(flags));
        }
        if protocol != 0 {
            let protocol = AddressProtocol::from(protocol);
            attributes.push(AddressAttribute::Protocol(protocol));
        }
        Self::new(
            format!("add address {address} to link {LINK}"),
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | existing,
        )
    }

    /// Takes an address, with this prefix length, from a link.
    pub fn delete_address(link: u32, address: IpNetwork) -> Self {
        Self::remove_address(link, address, None)
    }

    /// Takes an address that was listed from a link; with that of the other end, as the kernel
    /// wants it.
    pub fn delete_listed_address(link: u32, address: &LinkAddress) -> Self {
        Self::remove_address(link, address.network, address.given.peer)
    }

    fn remove_address(link: u32, address: IpNetwork, peer: Option<IpAddr>) -> Self {
        Self::new(
            format!("remove address {address} from link {LINK}"),
            RouteNetlinkMessage::DelAddress(message(link, address, peer)),
            0,
        )
    }
}

fn message(link: u32, address: IpNetwork, peer: Option<IpAddr>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = Family::of(address.ip()).number();
    message.header.prefix_len = address.prefix();
    message.header.index = link;
    let ip = address.ip();
    message.attributes = vec![
        AddressAttribute::Local(ip),
        AddressAttribute::Address(peer.unwrap_or(ip)),
    ];
    message
}

/// Asks for a link's addresses; of both protocols if `None`.
pub(crate) fn list_request(link: u32, family: Option<Family>) -> Request<RouteNetlinkMessage> {
    let mut message = AddressMessage::default();
    message.header.family = family.map_or(AddressFamily::Unspec, Family::number);
    message.header.index = link;
    Request {
        what: format!("list addresses of link {LINK}"),
        payload: RouteNetlinkMessage::GetAddress(message),
        flags: 0,
        answer: Answer::Message,
    }
}

impl LinkAddress {
    /// `None` for addresses of other protocols.
    pub(crate) fn parse(reply: &Reply<'_>) -> Result<Option<Self>, DecodeError> {
        let &[family, prefix, flags, scope, ..] = reply.payload else {
            return Err("an address without a header".into());
        };
        if i32::from(family) != libc::AF_INET && i32::from(family) != libc::AF_INET6 {
            return Ok(None);
        }
        let mut flags = u32::from(flags);
        let (mut local, mut address, mut protocol, mut lifetime) = (None, None, 0, None);
        let (mut label, mut broadcast, mut metric) = (None, None, None);
        for attribute in attributes_of(reply.payload.get(ADDRESS_HEADER..).unwrap_or_default()) {
            let (number, value) = attribute?;
            match number {
                libc::IFA_LOCAL => local = ip_of(value),
                libc::IFA_ADDRESS => address = ip_of(value),
                libc::IFA_FLAGS => flags = u32_of(value)?,
                libc::IFA_LABEL => label = Some(text_of(value)),
                libc::IFA_BROADCAST => broadcast = <[u8; 4]>::try_from(value).ok(),
                libc::IFA_CACHEINFO => lifetime = Some(lifetime_of(value)?),
                IFA_RT_PRIORITY => metric = Some(u32_of(value)?),
                IFA_PROTO => protocol = u8_of(value)?,
                _ => {}
            }
        }
        // On a link between two points, the other one is the other end's.
        let ip = local.or(address).ok_or("an address message without one")?;
        let network = IpNetwork::new(ip, prefix).map_err(|error| error.to_string())?;
        Ok(Some(Self {
            network,
            protocol,
            given: Given {
                scope,
                label,
                broadcast: broadcast.map(Ipv4Addr::from),
                peer: address.filter(|peer| *peer != ip),
                metric,
                lifetime: lifetime.filter(|lifetime| *lifetime != (FOREVER, FOREVER)),
                flags: flags & GIVEN_FLAGS,
            },
            is_tentative: flags & libc::IFA_F_TENTATIVE != 0,
            is_duplicate: flags & libc::IFA_F_DADFAILED != 0,
        }))
    }

    /// As [`Change::add_address`] gives it.
    pub fn plain(network: IpNetwork) -> Self {
        Self {
            network,
            protocol: 0,
            given: Given::plain(network),
            is_tentative: false,
            is_duplicate: false,
        }
    }

    /// Whether it is just an address, as a program gives it that has nothing else to say: known
    /// anywhere, without end, and without a label, a metric or a name for who gave it.
    ///
    /// `name` is the link's.
    pub fn is_plain(&self, name: &str) -> bool {
        let given = &self.given;
        let bare = Given {
            label: given.label.clone().filter(|label| label != name),
            flags: given.flags & !libc::IFA_F_NODAD,
            ..given.clone()
        };
        self.protocol == 0 && bare == Given::plain(self.network)
    }
}

/// For how long an address is preferred, and valid (`struct ifa_cacheinfo`), in seconds.
fn lifetime_of(value: &[u8]) -> Result<(u32, u32), DecodeError> {
    let field = |range| u32_of(value.get(range).unwrap_or_default());
    Ok((field(0..4)?, field(4..8)?))
}

pub(crate) fn ip_of(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(octets.into());
    }
    Some(<[u8; 16]>::try_from(value).ok()?.into())
}
