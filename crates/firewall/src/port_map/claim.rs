//! The entries of an attachment in a table of port maps, as stored in its records and as elements
//! of the sets that rules look up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use crate::element::Element;
use crate::grant::address_of;
use crate::layout::{NAME_LENGTH, octets};
use crate::port_map::{PortMapping, Snat, Token, Transport};
use crate::table::{SetKind, Table};

/// The content of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Target(Target),
    Claim(Claim),
}

/// The container: the record at place 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The container's address, with the prefix of its network.
    pub(crate) address: IpNetwork,
    pub(crate) snat: Snat,
    /// The number of mappings, which are at the places from 1 on.
    pub(crate) count: usize,
}

/// A mapping that an attachment claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) mapping: PortMapping,
    /// The container's address.
    pub(crate) target: IpAddr,
    /// The conditions under which packets are sent there.
    pub(crate) token: Option<Token>,
    /// Of several claims of the same port, the one with the highest rank is in effect.
    pub(crate) rank: u16,
}

impl Entry {
    /// The entry without what no packet depends on: a claim's rank, and the prefix of the
    /// container's network where SNAT is the same for all clients. A rebuilt record lacks both.
    pub(crate) fn effect(self) -> Self {
        match self {
            Self::Claim(claim) => Self::Claim(Claim { rank: 0, ..claim }),
            Self::Target(target) if target.snat != Snat::WhereNeeded => Self::Target(Target {
                address: target.address.ip().into(),
                ..target
            }),
            target => target,
        }
    }

    /// The data of the record: two addresses and two texts. A container has its netmask and its
    /// address; a mapping has the node's address, all zeros for all of them, and the container's.
    pub(crate) fn data(&self) -> Vec<u8> {
        let (first, second, what, how) = match self {
            Self::Target(Target {
                address,
                snat,
                count,
            }) => {
                let how = format!("{}.{count}", name_of(*snat));
                (address.mask(), address.ip(), TARGET.to_owned(), how)
            }
            Self::Claim(claim) => {
                let PortMapping {
                    protocol,
                    host_ip,
                    host_port,
                    container_port,
                } = claim.mapping;
                let what = format!("{protocol}{host_port}>{container_port}");
                let how = match claim.token {
                    Some(token) => format!("{}.{token}", claim.rank),
                    None => claim.rank.to_string(),
                };
                let any = unspecified(claim.target.is_ipv6());
                (host_ip.unwrap_or(any), claim.target, what, how)
            }
        };
        [octets(first), octets(second), field(&what), field(&how)].concat()
    }

    /// Reads the data of a record; `None` if this crate has not written it.
    pub(crate) fn of_data(table: Table, data: &[u8]) -> Option<Self> {
        let length = if table.is_ipv6() { 16 } else { 4 };
        let (first, rest) = data.split_at_checked(length)?;
        let (second, rest) = rest.split_at_checked(length)?;
        let (what, how) = rest.split_at_checked(NAME_LENGTH)?;
        let (first, second) = (address_of(first)?, address_of(second)?);
        let (what, how) = (text_of(what)?, text_of(how)?);
        if what == TARGET {
            let (snat, count) = how.split_once('.')?;
            return Some(Self::Target(Target {
                address: IpNetwork::with_netmask(second, first).ok()?,
                snat: SNATS.into_iter().find(|it| name_of(*it) == snat)?,
                count: count.parse().ok()?,
            }));
        }
        let (rank, token) = match how.split_once('.') {
            Some((rank, token)) => (rank, Some(Token::of_text(token)?)),
            None => (how, None),
        };
        let digits = what.find(|c: char| c.is_ascii_digit())?;
        let (protocol, ports) = what.split_at_checked(digits)?;
        let (host_port, container_port) = ports.split_once('>')?;
        Some(Self::Claim(Claim {
            mapping: PortMapping {
                protocol: protocol.parse().ok()?,
                host_ip: Some(first).filter(|ip| !ip.is_unspecified()),
                host_port: host_port.parse().ok()?,
                container_port: container_port.parse().ok()?,
            },
            target: second,
            token,
            rank: rank.parse().ok()?,
        }))
    }
}

impl Target {
    /// The elements for SNAT.
    pub(crate) fn elements(&self, table: Table) -> Vec<Element> {
        let address = octets(self.address.ip());
        let element = |kind, key| Element {
            set: table.set(kind),
            key,
        };
        if self.snat == Snat::Off {
            return Vec::new();
        }
        let itself = [address.clone(), address.clone()].concat();
        let mut elements = vec![element(SetKind::Hairpins, itself)];
        if !table.is_ipv6() {
            let loopback = Ipv4Addr::LOCALHOST.octets().to_vec();
            let from_node = [loopback, address.clone()].concat();
            elements.push(element(SetKind::Hairpins, from_node));
        }
        if self.snat == Snat::All {
            elements.push(element(SetKind::ToAll, address));
        } else if let Some(network) = network_of(self.address) {
            elements.push(element(SetKind::ToNetwork(network), address));
        }
        elements
    }
}

impl Claim {
    /// The element that sends packets to the container, and its data.
    pub(crate) fn element(&self, table: Table) -> (Element, Vec<u8>) {
        let PortMapping {
            protocol,
            host_ip,
            host_port,
            container_port,
        } = self.mapping;
        // Each field is filled up to four bytes.
        let port = |port: u16| [&port.to_be_bytes()[..], &[0; 2]].concat();
        let by_port = [vec![protocol.number(), 0, 0, 0], port(host_port)].concat();
        let (kind, key) = match host_ip {
            Some(ip) => (
                SetKind::Addresses(self.token),
                [octets(ip), by_port].concat(),
            ),
            None => (SetKind::HostPorts(self.token), by_port),
        };
        let data = [octets(self.target), port(container_port)].concat();
        let set = table.set(kind);
        (Element { set, key }, data)
    }

    /// The claim that an element belongs to; `None` for another kind of element.
    pub(crate) fn of_element(element: &Element, data: &[u8]) -> Option<Self> {
        let length = if element.set.table.is_ipv6() { 16 } else { 4 };
        let (host_ip, by_port, token) = match element.set.kind {
            SetKind::Addresses(token) => {
                let (host_ip, rest) = element.key.split_at_checked(length)?;
                (Some(address_of(host_ip)?), rest, token)
            }
            SetKind::HostPorts(token) => (None, element.key.as_slice(), token),
            _ => return None,
        };
        let [protocol, _, _, _, high, low, ..] = by_port else {
            return None;
        };
        let (target, port) = data.split_at_checked(length)?;
        let [container_high, container_low, ..] = port else {
            return None;
        };
        Some(Self {
            mapping: PortMapping {
                protocol: Transport::of_number(*protocol)?,
                host_ip,
                host_port: u16::from_be_bytes([*high, *low]),
                container_port: u16::from_be_bytes([*container_high, *container_low]),
            },
            target: address_of(target)?,
            token,
            rank: 0,
        })
    }
}

/// The text of a container's record.
const TARGET: &str = "container";

const SNATS: [Snat; 3] = [Snat::Off, Snat::WhereNeeded, Snat::All];

fn name_of(snat: Snat) -> &'static str {
    match snat {
        Snat::Off => "off",
        Snat::WhereNeeded => "near",
        Snat::All => "all",
    }
}

/// The container's network; `None` if it has room for one address only.
fn network_of(address: IpNetwork) -> Option<IpNetwork> {
    let longest = if address.is_ipv6() { 128 } else { 32 };
    let network = IpNetwork::new(address.network(), address.prefix()).ok()?;
    Some(network).filter(|network| network.prefix() < longest)
}

pub(crate) fn unspecified(is_ipv6: bool) -> IpAddr {
    if is_ipv6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

fn field(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(NAME_LENGTH, 0);
    bytes
}

fn text_of(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(field.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(host_ip: Option<&str>, target: &str, token: Option<&str>, rank: u16) -> Claim {
        Claim {
            mapping: PortMapping {
                protocol: Transport::Sctp,
                host_ip: host_ip.map(|ip| ip.parse().unwrap()),
                host_port: 65_535,
                container_port: 65_534,
            },
            target: target.parse().unwrap(),
            token: token.map(|token| Token::of_text(token).unwrap()),
            rank,
        }
    }

    #[test]
    fn a_claim_is_read_from_its_record_and_from_its_element() {
        for (table, claim) in [
            (Table::PortMap4, claim(None, "10.1.0.2", None, 0)),
            (
                Table::PortMap4,
                claim(Some("127.0.0.1"), "10.1.0.2", None, 9999),
            ),
            (
                Table::PortMap6,
                claim(Some("fd00::1"), "fd00::2", Some("0123456789"), 9999),
            ),
            (
                Table::PortMap6,
                claim(None, "fd00::2", Some("0123456789"), 7),
            ),
        ] {
            let data = Entry::Claim(claim).data();
            assert_eq!(data.len(), if table.is_ipv6() { 64 } else { 40 });
            assert_eq!(Entry::of_data(table, &data), Some(Entry::Claim(claim)));
            for length in 0..data.len() {
                let cut = Entry::of_data(table, &data[..length]);
                assert!(
                    cut.is_none() || length > data.len() - NAME_LENGTH,
                    "{cut:?}"
                );
            }
            let (element, to) = claim.element(table);
            let read = Claim::of_element(&element, &to).unwrap();
            assert_eq!(read, Claim { rank: 0, ..claim });
            for length in 0..to.len() - 2 {
                assert_eq!(Claim::of_element(&element, &to[..length]), None);
            }
        }
    }

    #[test]
    fn a_container_is_read_from_its_record() {
        for (address, snat, count, elements) in [
            ("10.1.0.2/24", Snat::WhereNeeded, 1, 3),
            ("10.1.0.2/32", Snat::WhereNeeded, 200_000, 2),
            ("fd00::2/64", Snat::All, 3, 2),
            ("fd00::2/64", Snat::Off, 3, 0),
        ] {
            let address: IpNetwork = address.parse().unwrap();
            let table = if address.is_ipv6() {
                Table::PortMap6
            } else {
                Table::PortMap4
            };
            let target = Target {
                address,
                snat,
                count,
            };
            let data = Entry::Target(target).data();
            assert_eq!(Entry::of_data(table, &data), Some(Entry::Target(target)));
            assert_eq!(target.elements(table).len(), elements);
        }
    }
}
