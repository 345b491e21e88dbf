//! Addresses of links.
//!
//! ```text
//!  0       1       2       3       4       8
//! +-------+-------+-------+-------+-------+------------- - -
//! | family| prefix| flags | scope | index | attributes         struct ifaddrmsg
//! +-------+-------+-------+-------+-------+------------- - -
//! ```
//!
//! `prefix` is the length of the network's prefix, `index` the link's. The flags are an attribute
//! too (`IFA_FLAGS`), since there are more than eight.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use nix::libc;

use crate::attributes::{Attributes, Malformed, ip_of, text_of, u8_of, u32_of};
use crate::uapi::{self, IFA_PROTO, IFA_RT_PRIORITY, INFINITY_LIFE_TIME};
use crate::{Answer, KernelMessage, KernelRequest};

/// The length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

/// The flags that a program sets with the address; the kernel sets the others.
const GIVEN_FLAGS: u32 = libc::IFA_F_NODAD
    | libc::IFA_F_HOMEADDRESS
    | libc::IFA_F_MANAGETEMPADDR
    | libc::IFA_F_NOPREFIXROUTE;

/// The protocol of addresses that Twill adds (`IFA_PROTO`). The kernel uses 1 to 3.
pub const OWN_PROTOCOL: u8 = 84;

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
    /// Its properties.
    pub given: Given,
    /// Whether duplicate address detection is not over, so that it may not be used yet (RFC 4862).
    pub is_tentative: bool,
    /// Whether another machine on the link has it.
    pub is_duplicate: bool,
}

/// The properties of an address that the program which adds it chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The protocol (`IFA_PROTO`), a number by which programs mark their addresses; 0 if not set,
    /// and with kernels before 5.18.
    pub protocol: u8,
    /// The scope: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// The label of an IPv4 address; the link's name by default.
    pub label: Option<String>,
    /// The IPv4 network's broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// The other end's address, on a link between two points.
    pub peer: Option<IpAddr>,
    /// The metric of the route to its network; the kernel's choice by default.
    pub metric: Option<u32>,
    /// For how many more seconds it is preferred, and valid; `None` means without end.
    pub lifetime: Option<(u32, u32)>,
    /// The flags that the program sets (`IFA_F_NODAD` and others).
    pub flags: u32,
}

impl Given {
    /// As iproute2 adds an address with `broadcast +`: global, without a lifetime.
    pub fn plain(address: IpNetwork) -> Self {
        Self {
            protocol: 0,
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

    /// As [`Given::plain`], without duplicate address detection.
    pub(crate) fn at_once(address: IpNetwork) -> Self {
        Self {
            flags: libc::IFA_F_NODAD,
            ..Self::plain(address)
        }
    }
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    pub(crate) fn number(self) -> u8 {
        uapi::family(match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
        })
    }

    /// The family of a message (`AF_*`); `None` if it is another one.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        [Self::V4, Self::V6]
            .into_iter()
            .find(|family| family.number() == number)
    }
}

/// The message that adds an address to a link.
pub(crate) fn message_to_give(link: u32, address: IpNetwork, given: &Given) -> Attributes {
    // IPv4 has no duplicate address detection, but stores the flag.
    let flags = match address {
        IpNetwork::V4(_) => given.flags & !libc::IFA_F_NODAD,
        IpNetwork::V6(_) => given.flags,
    };
    let broadcast = given.broadcast.map(IpAddr::from);
    message(link, address, given.peer, given.scope)
        .with(given.label.as_deref(), |to, label| {
            to.text(libc::IFA_LABEL, label)
        })
        .with(broadcast, |to, ip| to.ip(libc::IFA_BROADCAST, ip))
        .with(given.metric, |to, metric| to.u32(IFA_RT_PRIORITY, metric))
        .with(given.lifetime, |to, (preferred, valid)| {
            // struct ifa_cacheinfo, whose times of creation and change are the kernel's.
            let lifetime = [preferred, valid, 0, 0].map(u32::to_ne_bytes);
            to.bytes(libc::IFA_CACHEINFO, lifetime.as_flattened())
        })
        .with(Some(flags).filter(|flags| *flags != 0), |to, flags| {
            to.u32(libc::IFA_FLAGS, flags)
        })
        .with(
            Some(given.protocol).filter(|it| *it != 0),
            |to, protocol| to.u8(IFA_PROTO, protocol),
        )
}

/// A message about an address of a link.
pub(crate) fn message(
    link: u32,
    address: IpNetwork,
    peer: Option<IpAddr>,
    scope: u8,
) -> Attributes {
    let ip = address.ip();
    header(Family::of(ip).number(), address.prefix(), scope, link)
        .ip(libc::IFA_LOCAL, ip)
        .ip(libc::IFA_ADDRESS, peer.unwrap_or(ip))
}

/// `struct ifaddrmsg`.
fn header(family: u8, prefix: u8, scope: u8, link: u32) -> Attributes {
    let [a, b, c, d] = link.to_ne_bytes();
    Attributes::after(&[family, prefix, 0, scope, a, b, c, d])
}

/// The request for a link's addresses, or for those of all links with the index 0; of both
/// protocols if `None`.
pub(crate) fn list_request(what: String, link: u32, family: Option<Family>) -> KernelRequest {
    let family = family.map_or(uapi::family(libc::AF_UNSPEC), Family::number);
    KernelRequest {
        what,
        message_type: libc::RTM_GETADDR,
        flags: 0,
        payload: header(family, 0, 0, link).into_bytes(),
        answer: Answer::Message,
    }
}

impl LinkAddress {
    /// `None` for addresses of other protocols.
    pub(crate) fn parse(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        let &[family, prefix, flags, scope, ..] = &*reply.payload else {
            return Err(Malformed("an address has no header"));
        };
        if Family::of_number(family).is_none() {
            return Ok(None);
        }
        let mut flags = u32::from(flags);
        let (mut local, mut address, mut protocol, mut lifetime) = (None, None, 0, None);
        let (mut label, mut broadcast, mut metric) = (None, None, None);
        for attribute in reply.attributes(ADDRESS_HEADER) {
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
        // On a point-to-point link, the other one is the other end's.
        let ip = local
            .or(address)
            .ok_or(Malformed("an address is missing"))?;
        let network = network(ip, prefix)?;
        Ok(Some(Self {
            network,
            given: Given {
                protocol,
                scope,
                label,
                broadcast: broadcast.map(Ipv4Addr::from),
                peer: address.filter(|peer| *peer != ip),
                metric,
                lifetime: lifetime
                    .filter(|lifetime| *lifetime != (INFINITY_LIFE_TIME, INFINITY_LIFE_TIME)),
                flags: flags & GIVEN_FLAGS,
            },
            is_tentative: flags & libc::IFA_F_TENTATIVE != 0,
            is_duplicate: flags & libc::IFA_F_DADFAILED != 0,
        }))
    }

    /// Whether a plugin may have added it: global scope, without a lifetime, label, metric and
    /// protocol.
    ///
    /// `name` is the link's.
    pub fn is_plain(&self, name: &str) -> bool {
        let given = &self.given;
        let bare = Given {
            label: given.label.clone().filter(|label| label != name),
            flags: given.flags & !libc::IFA_F_NODAD,
            ..given.clone()
        };
        bare == Given::plain(self.network)
    }
}

/// For how long an address is preferred, and valid (`struct ifa_cacheinfo`), in seconds.
fn lifetime_of(value: &[u8]) -> Result<(u32, u32), Malformed> {
    let field = |range| u32_of(value.get(range).unwrap_or_default());
    Ok((field(0..4)?, field(4..8)?))
}

/// An address with the length of its network's prefix, as messages have them.
pub(crate) fn network(ip: IpAddr, prefix: u8) -> Result<IpNetwork, Malformed> {
    IpNetwork::new(ip, prefix).map_err(|_| Malformed("a prefix is longer than its address"))
}
