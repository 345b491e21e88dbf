use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::element::Element;
use crate::table::{NAME_LENGTH, Set, SetKind, Table};

/// What an attachment holds in a table, as its record says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// An address that is masqueraded, with the prefix of its network.
    Address(IpNetwork),
    /// A bridge's port, and the Ethernet address that may send by it.
    Port([u8; NAME_LENGTH], Mac),
}

impl Holding {
    /// `None` if the name is longer than the kernel takes.
    pub(crate) fn port(name: &str, mac: Mac) -> Option<Self> {
        let mut field = [0; NAME_LENGTH];
        // One byte is left for the zero at the end.
        if name.len() >= NAME_LENGTH {
            return None;
        }
        field
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self::Port(field, mac))
    }

    pub(crate) fn table(&self) -> Table {
        match self {
            Self::Address(IpNetwork::V4(_)) => Table::Masquerade4,
            Self::Address(IpNetwork::V6(_)) => Table::Masquerade6,
            Self::Port(..) => Table::MacSpoof,
        }
    }

    /// What the record has as its data: an address and its netmask, or a port's name and an Ethernet address.
    pub(crate) fn data(&self) -> Vec<u8> {
        match self {
            Self::Address(address) => [octets(address.ip()), octets(address.mask())].concat(),
            Self::Port(name, mac) => sender(name, *mac),
        }
    }

    /// Reads a record's data; `None` if it is not a record of ours.
    pub(crate) fn of_data(table: Table, data: &[u8]) -> Option<Self> {
        match table {
            Table::Masquerade4 | Table::Masquerade6 => {
                let (address, mask) = data.split_at(data.len() / 2);
                let address = IpNetwork::with_netmask(address_of(address)?, address_of(mask)?).ok();
                address.map(Self::Address).filter(|it| it.table() == table)
            }
            Table::MacSpoof => {
                let (name, rest) = data.split_first_chunk()?;
                Some(Self::Port(*name, Mac(*rest.first_chunk()?)))
            }
        }
    }

    /// What an element of a set says that is held; `None` if it does not say all of it.
    pub(crate) fn of_element(element: &Element) -> Option<Self> {
        match element.set.kind {
            SetKind::From(network) => {
                let address = IpNetwork::new(address_of(&element.key)?, network.prefix()).ok();
                address.map(Self::Address)
            }
            SetKind::FromHosts => Some(Self::Address(address_of(&element.key)?.into())),
            SetKind::Senders => Self::of_data(element.set.table, &element.key),
            SetKind::Owners | SetKind::Ports => None,
        }
    }

    /// The elements that rules find.
    pub(crate) fn elements(&self) -> Vec<Element> {
        let element = |kind, key| Element {
            set: Set {
                table: self.table(),
                kind,
            },
            key,
        };
        match self {
            Self::Address(address) => vec![element(set_of(*address), octets(address.ip()))],
            Self::Port(name, mac) => vec![
                element(SetKind::Ports, name.to_vec()),
                element(SetKind::Senders, sender(name, *mac)),
            ],
        }
    }
}

fn set_of(address: IpNetwork) -> SetKind {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    match IpNetwork::new(address.network(), address.prefix()) {
        // A set and a rule for each such address would be as many as there are containers.
        Ok(network) if network.prefix() < longest => SetKind::From(network),
        _ => SetKind::FromHosts,
    }
}

fn sender(name: &[u8; NAME_LENGTH], mac: Mac) -> Vec<u8> {
    // The last field, too, is filled up to a multiple of four bytes.
    [&name[..], &mac.0, &[0; 2]].concat()
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address_of(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(octets.into());
    }
    Some(<[u8; 16]>::try_from(octets).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_is_held() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let mut held = vec![
            Holding::port("veth0", mac).unwrap(),
            Holding::port("fifteen_bytes_x", mac).unwrap(),
        ];
        for address in ["10.1.2.3/24", "10.1.2.3/32", "fd00::5/64", "fd00::5/127"] {
            held.push(Holding::Address(address.parse().unwrap()));
        }
        for holding in held {
            let (table, data) = (holding.table(), holding.data());
            let told: Vec<_> = holding
                .elements()
                .iter()
                .filter_map(Holding::of_element)
                .collect();
            assert_eq!(told, [holding]);
            assert_eq!(Holding::of_data(table, &data), Some(holding));
            for length in 0..data.len() {
                let cut = Holding::of_data(table, &data[..length]);
                assert!(cut.is_none() || table == Table::MacSpoof, "{cut:?}");
            }
        }
        assert_eq!(Holding::port("sixteen_bytes_xx", mac), None);
        let no_mask = [10, 1, 2, 3, 255, 0, 255, 0];
        assert_eq!(Holding::of_data(Table::Masquerade4, &no_mask), None);
    }
}
