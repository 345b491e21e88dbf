//! The grants of an attachment, as stored in its record and as elements of the sets that rules look
//! up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::element::Element;
use crate::layout::{NAME_LENGTH, octets};
use crate::table::{Set, SetKind, Table};

/// A grant of an attachment in a table: one record of the map `owners`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// An address that is masqueraded, with the prefix of its network.
    Address(IpNetwork),
    /// A port of a bridge, and the MAC that may send through it.
    Port([u8; NAME_LENGTH], Mac),
}

impl Grant {
    /// `None` if the port's name is longer than the name of an interface can be.
    pub(crate) fn port(name: &str, mac: Mac) -> Option<Self> {
        let mut field = [0; NAME_LENGTH];
        // One byte is left for the null byte at the end.
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

    /// The data of the record: an address and its netmask, or a port's name and a MAC.
    pub(crate) fn data(&self) -> Vec<u8> {
        match self {
            Self::Address(address) => [octets(address.ip()), octets(address.mask())].concat(),
            Self::Port(name, mac) => sender(name, *mac),
        }
    }

    /// Reads the data of a record; `None` if this crate has not written it.
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
            Table::PortMap4 | Table::PortMap6 => None,
        }
    }

    /// The grant that an element belongs to; `None` if the element contains only a part of it.
    pub(crate) fn of_element(element: &Element) -> Option<Self> {
        match element.set.kind {
            SetKind::From(network) => {
                let address = IpNetwork::new(address_of(&element.key)?, network.prefix()).ok();
                address.map(Self::Address)
            }
            SetKind::FromHosts => Some(Self::Address(address_of(&element.key)?.into())),
            SetKind::Senders => Self::of_data(element.set.table, &element.key),
            _ => None,
        }
    }

    /// The elements of the grant that rules look up.
    pub(crate) fn elements(&self) -> Vec<Element> {
        let element = |kind, key| Element {
            set: self.table().set(kind),
            key,
        };
        match self {
            Self::Address(address) => vec![element(set_of(*address), octets(address.ip()))],
            Self::Port(name, mac) => vec![
                element(SetKind::BridgePorts, name.to_vec()),
                element(SetKind::Senders, sender(name, *mac)),
            ],
        }
    }
}

/// The tables of some grants, each with the sets of their elements.
pub(crate) fn tables_of(grants: &[Grant]) -> BTreeMap<Table, BTreeSet<Set>> {
    let mut tables: BTreeMap<Table, BTreeSet<Set>> = BTreeMap::new();
    for grant in grants {
        let sets = tables.entry(grant.table()).or_default();
        let own = grant.elements().into_iter().map(|element| element.set);
        sets.extend(own);
    }
    tables
}

fn set_of(address: IpNetwork) -> SetKind {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    match IpNetwork::new(address.network(), address.prefix()) {
        // Networks of one address would need a set and a rule per container.
        Ok(network) if network.prefix() < longest => SetKind::From(network),
        _ => SetKind::FromHosts,
    }
}

fn sender(name: &[u8; NAME_LENGTH], mac: Mac) -> Vec<u8> {
    // The last field is filled up to a multiple of four bytes, too.
    [&name[..], &mac.0, &[0; 2]].concat()
}

pub(crate) fn address_of(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(octets.into());
    }
    Some(<[u8; 16]>::try_from(octets).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_read_from_its_record_and_from_its_elements() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let mut grants = vec![
            Grant::port("veth0", mac).unwrap(),
            Grant::port("fifteen_bytes_x", mac).unwrap(),
        ];
        for address in ["10.1.2.3/24", "10.1.2.3/32", "fd00::5/64", "fd00::5/127"] {
            grants.push(Grant::Address(address.parse().unwrap()));
        }
        for grant in grants {
            let (table, data) = (grant.table(), grant.data());
            let elements = grant.elements();
            let read: Vec<_> = elements.iter().filter_map(Grant::of_element).collect();
            assert_eq!(read, [grant]);
            assert_eq!(Grant::of_data(table, &data), Some(grant));
            for length in 0..data.len() {
                let cut = Grant::of_data(table, &data[..length]);
                assert!(cut.is_none() || table == Table::MacSpoof, "{cut:?}");
            }
        }
        assert_eq!(Grant::port("sixteen_bytes_xx", mac), None);
        let no_mask = [10, 1, 2, 3, 255, 0, 255, 0];
        assert_eq!(Grant::of_data(Table::Masquerade4, &no_mask), None);
    }
}
