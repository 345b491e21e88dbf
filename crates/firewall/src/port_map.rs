//! Port maps: ports of the node's addresses that lead to containers.
//!
//! Each family has a table `twill_portmap`. Two maps, from address, protocol and port, and from
//! protocol and port, give the DNAT target; a fixed number of rules looks them up. Each attachment
//! has a record of its container and its `snat`, and one per mapping. If several attachments claim
//! a host port, the last ADD has it; the others' records are in the map `waiting`, which is almost
//! always empty.

mod change;
mod check;
pub(crate) mod claim;
mod conditions;
pub(crate) mod content;
pub(crate) mod loopback;
mod node;
mod operations;
mod rules;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;
use nix::libc;

pub use change::Unmapped;
pub(crate) use conditions::Token;
pub use conditions::{Conditions, UnsupportedConditions};
pub use operations::{
    GuardRemoval, gc_port_maps, map_ports, map_ports_by_iptables, missing_port_map,
    missing_port_map_by_iptables, probe_port_maps, remove_loopback_guard, unmap_ports,
};
pub(crate) use rules::{CHAINS4, CHAINS6, rules};

use crate::conntrack::MappedPort;
use crate::table::Table;

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
    /// SCTP (RFC 9260).
    Sctp,
}

/// A port of the node's addresses that leads to a port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortMapping {
    /// The protocol of both ports.
    pub protocol: Transport,
    /// The address of the node; `None` for all of them, and an unspecified address for all of its
    /// family.
    pub host_ip: Option<IpAddr>,
    /// The port of the node, from 1 on.
    pub host_port: u16,
    /// The port of the container, from 1 on.
    pub container_port: u16,
}

/// The clients of mapped ports that get SNAT to the node's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Snat {
    /// None.
    Off,
    /// Those that need it to get a reply: the container itself, containers of its network, and the
    /// node's loopback address.
    #[default]
    WhereNeeded,
    /// All clients.
    All,
}

/// The port map of an attachment, for [`Nftables::map_ports`](crate::Nftables::map_ports).
#[derive(Clone, Copy, Debug)]
pub struct PortMap<'a> {
    /// The container's addresses, at most one per family, with the prefixes of their networks.
    pub addresses: &'a [IpNetwork],
    /// The mappings, without repetitions.
    pub mappings: &'a [PortMapping],
    /// The clients that get SNAT.
    pub snat: Snat,
    /// The conditions for IPv4 packets to be mapped; `None` for all packets.
    pub conditions4: Option<Conditions>,
    /// The conditions for IPv6 packets to be mapped; `None` for all packets.
    pub conditions6: Option<Conditions>,
}

/// A protocol name other than tcp, udp and sctp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the protocols with ports are tcp, udp and sctp")]
pub struct UnknownTransport;

impl Transport {
    const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The number in an IP header (`IPPROTO_*`).
    pub(crate) fn number(self) -> u8 {
        let number = match self {
            Self::Tcp => libc::IPPROTO_TCP,
            Self::Udp => libc::IPPROTO_UDP,
            Self::Sctp => libc::IPPROTO_SCTP,
        };
        number as u8
    }

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

/// Case does not matter.
impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let matches = |it: &Self| it.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(matches).ok_or(UnknownTransport)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PortMapping {
    /// Whether the mapping applies to packets of a table's family.
    fn is_of(&self, table: Table) -> bool {
        self.host_ip
            .is_none_or(|ip| ip.is_ipv6() == table.is_ipv6())
    }
}

/// The node's end, such as `tcp 192.0.2.1:8080` or `udp port 53`.
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protocol, port) = (self.protocol, self.host_port);
        match self.host_ip {
            None => write!(f, "{protocol} port {port}"),
            Some(IpAddr::V4(ip)) => write!(f, "{protocol} {ip}:{port}"),
            Some(IpAddr::V6(ip)) => write!(f, "{protocol} [{ip}]:{port}"),
        }
    }
}

impl<'a> PortMap<'a> {
    /// The container's address in a table's family, and the mappings of that family; `None` if
    /// there are none.
    pub(crate) fn part(&self, table: Table) -> Option<(IpNetwork, Vec<&'a PortMapping>)> {
        let mut addresses = self.addresses.iter();
        let address = addresses.find(|it| it.is_ipv6() == table.is_ipv6())?;
        let own: Vec<_> = self.mappings.iter().filter(|it| it.is_of(table)).collect();
        (!own.is_empty()).then_some((*address, own))
    }

    /// Each mapping with the container's address that it leads to.
    fn mapped_ports(&self) -> impl Iterator<Item = MappedPort> {
        Table::PORT_MAP.into_iter().flat_map(|table| {
            let part = self.part(table).into_iter();
            part.flat_map(|(address, mappings)| {
                mappings.into_iter().map(move |mapping| MappedPort {
                    mapping: *mapping,
                    target: address.ip(),
                })
            })
        })
    }

    /// The container's IPv4 address, if ports of the node's loopback address are mapped to it.
    fn address_for_loopback(&self) -> Option<IpAddr> {
        let (address, mappings) = self.part(Table::PortMap4)?;
        let leads_there = |mapping: &&PortMapping| {
            let host_ip = mapping.host_ip;
            host_ip.is_none_or(|ip| ip.is_unspecified() || ip.is_loopback())
        };
        let is_wanted = self.snat != Snat::Off && mappings.iter().any(leads_there);
        is_wanted.then_some(address.ip())
    }

    fn conditions(&self, table: Table) -> Option<Conditions> {
        if table.is_ipv6() {
            self.conditions6
        } else {
            self.conditions4
        }
    }
}
