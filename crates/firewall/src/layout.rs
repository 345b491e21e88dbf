//! The layout of sets: the fields of their keys and data, and the witness in each set.

use std::net::IpAddr;

use netlink::attributes::Attributes;
use nix::libc;

use crate::edit::{Edit, Message};
use crate::element::Element;
use crate::nf_tables::{TABLE, set, userdata};
use crate::table::{Set, SetKind, Table};

/// The length of an interface's name in a key or in data, with the null byte at its end.
pub(crate) const NAME_LENGTH: usize = libc::IFNAMSIZ;

/// A field of a set's keys or data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The name of an interface, or a text of its form.
    Name,
    Address4,
    Address6,
    Mac,
    /// The number of a transport protocol.
    Protocol,
    /// A port of a transport protocol.
    Port,
    /// A number without a meaning of its own.
    Number,
}

/// The largest number of elements that rules themselves may add to a set.
const MOST_COLLECTED: u32 = 65_535;

impl Set {
    /// Creates the set, empty.
    pub(crate) fn create(self) -> Edit {
        let (key, data) = (self.key(), self.data());
        let flags = if self.kind == SetKind::Local {
            libc::NFT_SET_EVAL
        } else if data.is_empty() {
            0
        } else {
            libc::NFT_SET_MAP
        };
        let mut attributes = Attributes::new()
            .text(TABLE, self.table.name())
            .text(set::NAME, &self.kind.name())
            .be32(set::FLAGS, flags as u32)
            .be32(set::KEY_TYPE, type_of(key))
            .be32(set::KEY_LENGTH, length_of(key) as u32);
        if self.kind == SetKind::Local {
            let size = Attributes::new().be32(set::SIZE, MOST_COLLECTED);
            attributes = attributes.nest(set::DESCRIPTION, size);
        }
        let mut byte_orders = vec![(userdata::KEY_BYTE_ORDER, byte_order_of(key))];
        if !data.is_empty() {
            attributes = attributes
                .be32(set::DATA_TYPE, type_of(data))
                .be32(set::DATA_LENGTH, length_of(data) as u32);
            byte_orders.push((userdata::DATA_BYTE_ORDER, byte_order_of(data)));
        }
        // Without them, `nft` shows names backwards.
        let mut entries = Vec::new();
        for (kind, byte_order) in byte_orders {
            entries.extend([kind, 4]);
            entries.extend(byte_order.to_ne_bytes());
        }
        // The kernel wants a number by which rules of the same transaction could name the set.
        const ID: u32 = 1;
        attributes = attributes.be32(set::ID, ID).bytes(set::USERDATA, &entries);
        Message::NewSet.edit(self.table, format!("create set {self}"), attributes)
    }

    /// An element that each set has from the start, and that matches no packet and no attachment. A
    /// flush of the set removes it, so each ADD looks for it.
    pub(crate) fn witness(self) -> Element {
        Element {
            set: self,
            key: witness_of(self.key()),
        }
    }

    /// Adds the witness.
    pub(crate) fn add_witness(self) -> Edit {
        let data = witness_of(self.data());
        let data = Some(data.as_slice()).filter(|data| !data.is_empty());
        let comment = "no container: shows that nobody has flushed this";
        self.witness().add(data, comment)
    }

    fn key(self) -> &'static [Field] {
        let is_ipv6 = self.table.is_ipv6();
        match self.kind {
            SetKind::Owners | SetKind::Waiting => &[Field::Name, Field::Name],
            SetKind::From(_)
            | SetKind::FromHosts
            | SetKind::Local
            | SetKind::Node
            | SetKind::ToAll
            | SetKind::ToNetwork(_) => {
                if is_ipv6 {
                    &[Field::Address6]
                } else {
                    &[Field::Address4]
                }
            }
            SetKind::BridgePorts => &[Field::Name],
            SetKind::Senders => &[Field::Name, Field::Mac],
            SetKind::Addresses(_) if is_ipv6 => &[Field::Address6, Field::Protocol, Field::Port],
            SetKind::Addresses(_) => &[Field::Address4, Field::Protocol, Field::Port],
            SetKind::HostPorts(_) => &[Field::Protocol, Field::Port],
            SetKind::Conditions(_) => &[Field::Number],
            SetKind::Hairpins if is_ipv6 => &[Field::Address6, Field::Address6],
            SetKind::Hairpins => &[Field::Address4, Field::Address4],
        }
    }

    /// Empty for a set that is no map.
    fn data(self) -> &'static [Field] {
        match (self.kind, self.table) {
            (SetKind::Owners, Table::Masquerade4) => &[Field::Address4, Field::Address4],
            (SetKind::Owners, Table::Masquerade6) => &[Field::Address6, Field::Address6],
            (SetKind::Owners, Table::MacSpoof) => &[Field::Name, Field::Mac],
            (SetKind::Owners | SetKind::Waiting, Table::PortMap6) => {
                &[Field::Address6, Field::Address6, Field::Name, Field::Name]
            }
            (SetKind::Owners | SetKind::Waiting, _) => {
                &[Field::Address4, Field::Address4, Field::Name, Field::Name]
            }
            (SetKind::Addresses(_) | SetKind::HostPorts(_), Table::PortMap6) => {
                &[Field::Address6, Field::Port]
            }
            (SetKind::Addresses(_) | SetKind::HostPorts(_), _) => &[Field::Address4, Field::Port],
            _ => &[],
        }
    }
}

impl Field {
    /// The number that `nft` knows the field's type by (include/datatype.h).
    fn type_number(self) -> u32 {
        match self {
            Self::Name => 41,
            Self::Address4 => 7,
            Self::Address6 => 8,
            Self::Mac => 9,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Number => 19,
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Name => NAME_LENGTH,
            Self::Address4 => 4,
            Self::Address6 => 16,
            Self::Mac => 6,
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Number => 4,
        }
    }
}

/// The number that `nft` knows the type of several fields by: six bits per field.
fn type_of(fields: &[Field]) -> u32 {
    let append = |number, field: &Field| number << 6 | field.type_number();
    fields.iter().fold(0, append)
}

/// The length of several fields, each of which is filled up to a multiple of four bytes.
fn length_of(fields: &[Field]) -> usize {
    let length = |field: &Field| field.length().next_multiple_of(4);
    fields.iter().map(length).sum()
}

/// The byte order as `nft` stores it (include/datatype.h, `enum byteorder`).
fn byte_order_of(fields: &[Field]) -> u32 {
    const NONE: u32 = 0;
    const HOST: u32 = 1;
    const NETWORK: u32 = 2;
    match fields {
        [Field::Name | Field::Number] => HOST,
        [_] => NETWORK,
        _ => NONE,
    }
}

/// A value that no packet has: a name that no interface can have, broadcast addresses, which nobody
/// sends from, and a reserved number of a protocol.
fn witness_of(fields: &[Field]) -> Vec<u8> {
    let mut value = Vec::new();
    for field in fields {
        let start = value.len();
        match field {
            Field::Name => value.push(b'/'),
            _ => value.resize(start + field.length(), 0xff),
        }
        value.resize(start + field.length().next_multiple_of(4), 0);
    }
    value
}

/// The bytes of an address.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_has_the_length_of_a_key() {
        let sets = Table::ALL.iter().flat_map(|table| table.sets());
        for set in sets.filter(Set::has_witness) {
            assert_eq!(set.witness().key.len(), length_of(set.key()), "{set}");
        }
    }
}
