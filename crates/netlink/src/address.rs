use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::{DecodeError, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;

use crate::reply::{Reply, attributes_of, u32_of};
use crate::{Answer, Change, Request};

/// The length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

/// An internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The address, with the length of its network's prefix.
    pub network: IpNetwork,
    /// Whether it may not be used yet: the link is still being asked whether another machine has it (RFC 4862).
    pub is_tentative: bool,
    /// Whether another machine has it.
    pub is_duplicate: bool,
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
    /// Gives a link an address and the route to its network. An IPv4 address gets its broadcast address too.
    ///
    /// Without `detect_duplicates` an IPv6 address can be used at once; IPv4 does not ask anyhow.
    pub fn add_address(link: u32, address: IpNetwork, detect_duplicates: bool) -> Self {
        let mut message = message(link, address);
        let attributes = &mut message.attributes;
        if let IpNetwork::V4(v4) = address
            && v4.prefix() < 31
        {
            attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
        }
        if address.is_ipv6() && !detect_duplicates {
            attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        Self::new(
            format!("add address {address} to link {link}"),
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Takes an address, with this prefix length, from a link.
    pub fn delete_address(link: u32, address: IpNetwork) -> Self {
        Self::new(
            format!("remove address {address} from link {link}"),
            RouteNetlinkMessage::DelAddress(message(link, address)),
            0,
        )
    }
}

fn message(link: u32, address: IpNetwork) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = Family::of(address.ip()).number();
    message.header.prefix_len = address.prefix();
    message.header.index = link;
    let ip = address.ip();
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    message
}

/// Asks for a link's addresses; of both protocols if `None`.
pub(crate) fn list_request(link: u32, family: Option<Family>) -> Request<RouteNetlinkMessage> {
    let mut message = AddressMessage::default();
    message.header.family = family.map_or(AddressFamily::Unspec, Family::number);
    message.header.index = link;
    Request {
        what: format!("list addresses of link {link}"),
        payload: RouteNetlinkMessage::GetAddress(message),
        flags: 0,
        answer: Answer::Message,
    }
}

impl LinkAddress {
    /// `None` for addresses of other protocols.
    pub(crate) fn parse(reply: &Reply<'_>) -> Result<Option<Self>, DecodeError> {
        let &[family, prefix, flags, ..] = reply.payload else {
            return Err("an address without a header".into());
        };
        if i32::from(family) != libc::AF_INET && i32::from(family) != libc::AF_INET6 {
            return Ok(None);
        }
        let mut flags = u32::from(flags);
        let (mut local, mut address) = (None, None);
        for attribute in attributes_of(reply.payload.get(ADDRESS_HEADER..).unwrap_or_default()) {
            let (number, value) = attribute?;
            match number {
                libc::IFA_LOCAL => local = ip_of(value),
                libc::IFA_ADDRESS => address = ip_of(value),
                libc::IFA_FLAGS => flags = u32_of(value)?,
                _ => {}
            }
        }
        // On a link between two points, the other one is the other end's.
        let ip = local.or(address).ok_or("an address message without one")?;
        let network = IpNetwork::new(ip, prefix).map_err(|error| error.to_string())?;
        Ok(Some(Self {
            network,
            is_tentative: flags & libc::IFA_F_TENTATIVE != 0,
            is_duplicate: flags & libc::IFA_F_DADFAILED != 0,
        }))
    }
}

pub(crate) fn ip_of(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(octets.into());
    }
    Some(<[u8; 16]>::try_from(value).ok()?.into())
}
