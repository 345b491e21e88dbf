use std::fmt;

use ipnetwork::IpNetwork;
use netlink::{Bytes, Reply, Request};
use netlink_packet_core::DecodeError;

use crate::attributes::{Attributes, find, number, text};
use crate::element::{Element, HEADER};
use crate::expression::{
    PacketField, Verdict, is, is_in, is_not, load, load_input_name, load_second, mask, masquerade,
    verdict,
};
use crate::holding::octets;
use crate::rule::Rule;
use crate::step::{Message, Step};

// include/datatype.h of the program `nft`: what it shows a key as.
const IPV4: u32 = 7;
const IPV6: u32 = 8;
const ETHERNET: u32 = 9;
const NAME: u32 = 41;
/// The length of a name's field in a key.
pub(crate) const NAME_LENGTH: usize = 16;

// linux/netfilter/nf_tables.h: NFTA_CHAIN_*
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_KIND: u16 = 7;
// NFTA_HOOK_*
const HOOK: u16 = 1;
const PRIORITY: u16 = 2;
// NFTA_TABLE_* and NFT_TABLE_F_*
const TABLE_FLAGS: u16 = 2;
const DORMANT: u32 = 1;

/// A table of ours. IPv4 and IPv6 have one each, since a kernel without IPv6 has no tables that are for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    /// Which IPv4 addresses are masqueraded.
    Masquerade4,
    /// Which IPv6 addresses are masqueraded.
    Masquerade6,
    /// Which ports of bridges may only be sent by from one Ethernet address.
    MacSpoof,
}

/// A set of a table, or a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Set {
    pub(crate) table: Table,
    pub(crate) kind: SetKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SetKind {
    /// Says what an attachment holds. No rule asks it.
    Owners,
    /// The addresses whose own network is this; what they send to others is masqueraded.
    From(IpNetwork),
    /// The addresses that have no network beside themselves: all that they send is masqueraded.
    FromHosts,
    /// The ports that are watched.
    Ports,
    /// The ports, with the address that may send by each.
    Senders,
}

/// A field of a set's keys or data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The name of an interface, or what looks like one.
    Name,
    Address4,
    Address6,
    Ethernet,
}

/// The chain that all rules of a table are in.
struct Chain {
    name: &'static str,
    kind: &'static str,
    hook: u32,
    priority: i32,
}

impl Table {
    pub(crate) const ALL: [Self; 3] = [Self::Masquerade4, Self::Masquerade6, Self::MacSpoof];
    pub(crate) const MASQUERADE: [Self; 2] = [Self::Masquerade4, Self::Masquerade6];

    /// Its `NFPROTO_*` number.
    pub(crate) fn family(self) -> u8 {
        match self {
            Self::Masquerade4 => 2,
            Self::Masquerade6 => 10,
            Self::MacSpoof => 7,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Masquerade4 | Self::Masquerade6 => "twill_masquerade",
            Self::MacSpoof => "twill_macspoofchk",
        }
    }

    /// The map that says what an attachment holds here.
    pub(crate) fn owners(self) -> Set {
        let kind = SetKind::Owners;
        Set { table: self, kind }
    }

    /// The attribute that every message begins with: they all have the table's name under the same number.
    pub(crate) fn attribute(self) -> Attributes {
        Attributes::new().text(1, self.name())
    }

    /// Makes the table, without anything in it.
    pub(crate) fn create(self) -> Step {
        let what = format!("create table {self}");
        Message::NewTable.step(self, what, self.attribute())
    }

    /// Removes the table with all that is in it.
    pub(crate) fn delete(self) -> Step {
        let what = format!("remove table {self}");
        Message::DeleteTable.step(self, what, self.attribute())
    }

    /// Lets a dormant table's chains see packets.
    pub(crate) fn wake(self) -> Step {
        let what = format!("wake table {self}, which is dormant");
        let awake = self.attribute().number(TABLE_FLAGS, 0);
        Message::NewTable.step(self, what, awake).of_existing()
    }

    /// Whether an answer to [`Table::find`] is about a table whose chains see no packets.
    pub(crate) fn is_dormant(self, reply: &Reply<'_>) -> Result<bool, DecodeError> {
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        let flags = number(attributes, TABLE_FLAGS)?;
        Ok(flags.unwrap_or_default() & DORMANT != 0)
    }

    /// Asks for the table.
    pub(crate) fn find(self) -> Request<Bytes> {
        let what = format!("find table {self}");
        Message::GetTable.request(self.family(), what, self.attribute())
    }

    /// How many chains, sets and other things an answer to [`Table::find`] says are in the table.
    pub(crate) fn content(self, reply: &Reply<'_>) -> Result<u32, DecodeError> {
        const USE: u16 = 3;
        let count = find(reply.payload.get(HEADER..).unwrap_or_default(), USE)?;
        Ok(count.try_into().map_or(0, u32::from_be_bytes))
    }

    /// Asks for the table's sets.
    pub(crate) fn list_sets(self) -> Request<Bytes> {
        let what = format!("list the sets of table {self}");
        Message::GetSet.request(self.family(), what, self.attribute())
    }

    /// Makes the chain that the rules are in.
    pub(crate) fn create_chain(self) -> Step {
        let chain = self.chain();
        let new_chain = self
            .attribute()
            .text(CHAIN_NAME, chain.name)
            .nest(CHAIN_HOOK, chain.hook())
            .text(CHAIN_KIND, chain.kind);
        let what = format!("create chain {} in table {self}", chain.name);
        Message::NewChain.step(self, what, new_chain)
    }

    /// Removes the chain and its rules.
    pub(crate) fn delete_chain(self) -> Step {
        let what = format!("remove chain {} of table {self}", self.chain_name());
        Message::DeleteChain.step(self, what, self.chain_attributes())
    }

    /// Asks for the chain.
    pub(crate) fn find_chain(self) -> Request<Bytes> {
        let what = format!("find chain {} of table {self}", self.chain_name());
        Message::GetChain.request(self.family(), what, self.chain_attributes())
    }

    fn chain_attributes(self) -> Attributes {
        self.attribute().text(CHAIN_NAME, self.chain_name())
    }

    /// Whether an answer to [`Table::find_chain`] is about a chain that sees the packets that it should see.
    pub(crate) fn is_hooked(self, reply: &Reply<'_>) -> Result<bool, DecodeError> {
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        let chain = self.chain();
        let hook = find(attributes, CHAIN_HOOK)?;
        Ok(text(attributes, CHAIN_KIND)? == chain.kind
            && number(hook, HOOK)? == Some(chain.hook)
            && number(hook, PRIORITY)? == Some(chain.priority as u32))
    }

    pub(crate) fn chain_name(self) -> &'static str {
        self.chain().name
    }

    /// The sets that it has whoever uses it.
    pub(crate) fn sets(self) -> impl Iterator<Item = Set> {
        let kinds: &[SetKind] = match self {
            Self::Masquerade4 | Self::Masquerade6 => &[SetKind::Owners, SetKind::FromHosts],
            Self::MacSpoof => &[SetKind::Owners, SetKind::Ports, SetKind::Senders],
        };
        kinds.iter().map(move |kind| Set {
            table: self,
            kind: *kind,
        })
    }

    fn chain(self) -> Chain {
        match self {
            // After what others do with a packet's source, as it is usual: `priority srcnat`.
            Self::Masquerade4 | Self::Masquerade6 => Chain {
                name: "postrouting",
                kind: "nat",
                hook: 4,
                priority: 100,
            },
            // Before anything else sees the frame, where the Go plugin has it: `priority dstnat`.
            Self::MacSpoof => Chain {
                name: "prerouting",
                kind: "filter",
                hook: 0,
                priority: -300,
            },
        }
    }

    /// The rules that it has whoever uses it, in their order.
    pub(crate) fn rules(self) -> Vec<Rule> {
        let rule = |expressions| Rule { expressions };
        let hosts = rule(vec![
            load(self.source()),
            is_in(&SetKind::FromHosts.name()),
            masquerade(),
        ]);
        let ethernet_source = PacketField {
            header: 0,
            offset: 6,
            length: 6,
        };
        match self {
            Self::Masquerade4 => {
                let multicast = vec![
                    load(self.destination()),
                    mask(&[0xf0, 0, 0, 0]),
                    is(&[0xe0, 0, 0, 0]),
                    verdict(Verdict::Return),
                ];
                vec![rule(multicast), hosts]
            }
            Self::Masquerade6 => {
                let first_byte = PacketField {
                    length: 1,
                    ..self.destination()
                };
                let multicast = vec![load(first_byte), is(&[0xff]), verdict(Verdict::Return)];
                vec![rule(multicast), hosts]
            }
            Self::MacSpoof => {
                let allowed = vec![
                    load_input_name(),
                    load_second(ethernet_source),
                    is_in(&SetKind::Senders.name()),
                    verdict(Verdict::Accept),
                ];
                let watched = vec![
                    load_input_name(),
                    is_in(&SetKind::Ports.name()),
                    verdict(Verdict::Drop),
                ];
                vec![rule(allowed), rule(watched)]
            }
        }
    }

    fn source(self) -> PacketField {
        let (offset, length) = match self {
            Self::Masquerade6 => (8, 16),
            _ => (12, 4),
        };
        let header = 1;
        PacketField {
            header,
            offset,
            length,
        }
    }

    fn destination(self) -> PacketField {
        let source = self.source();
        PacketField {
            offset: source.offset + source.length,
            ..source
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self {
            Self::Masquerade4 => "ip",
            Self::Masquerade6 => "ip6",
            Self::MacSpoof => "bridge",
        };
        write!(f, "{family} {}", self.name())
    }
}

impl SetKind {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Owners => "owners".to_owned(),
            // A colon ends a name in `nft`'s language.
            Self::From(network) => format!("from-{network}").replace(':', "_"),
            Self::FromHosts => "from-hosts".to_owned(),
            Self::Ports => "ports".to_owned(),
            Self::Senders => "senders".to_owned(),
        }
    }

    /// The kind that has a name; `None` if it is none of ours.
    fn of_name(name: &str) -> Option<Self> {
        let fixed = [Self::Owners, Self::FromHosts, Self::Ports, Self::Senders];
        if let Some(kind) = fixed.into_iter().find(|kind| kind.name() == name) {
            return Some(kind);
        }
        let network = name.strip_prefix("from-")?.replace('_', ":");
        network.parse().ok().map(Self::From)
    }
}

impl Chain {
    fn hook(&self) -> Attributes {
        Attributes::new()
            .number(HOOK, self.hook)
            .number(PRIORITY, self.priority as u32)
    }
}

impl Set {
    /// The attributes that name it in messages about elements and sets.
    pub(crate) fn attributes(self) -> Attributes {
        self.table.attribute().text(2, &self.kind.name())
    }

    /// The set that an answer to [`Table::list_sets`] is about; `None` if it is none of ours.
    pub(crate) fn read(table: Table, reply: &Reply<'_>) -> Result<Option<Self>, DecodeError> {
        const NAME: u16 = 2;
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        let kind = SetKind::of_name(text(attributes, NAME)?);
        Ok(kind.map(|kind| Self { table, kind }))
    }

    /// Whether it is one that a table does not have from the start.
    pub(crate) fn is_of_a_network(&self) -> bool {
        matches!(self.kind, SetKind::From(_))
    }

    /// The rule that asks it, if that is its own.
    pub(crate) fn rule(self) -> Option<Rule> {
        let SetKind::From(network) = self.kind else {
            return None;
        };
        Some(Rule {
            expressions: vec![
                load(self.table.source()),
                is_in(&self.kind.name()),
                load(self.table.destination()),
                mask(&octets(network.mask())),
                is_not(&octets(network.network())),
                masquerade(),
            ],
        })
    }

    /// Makes it.
    pub(crate) fn create(self) -> Step {
        const MAP: u32 = 8;
        let (key, data) = (self.key(), self.data());
        let mut attributes = self
            .attributes()
            .number(3, if data.is_empty() { 0 } else { MAP })
            .number(4, Field::number_of_all(key))
            .number(5, Field::length_of_all(key) as u32);
        let mut byte_orders = vec![(0, Field::byte_order_of_all(key))];
        if !data.is_empty() {
            attributes = attributes
                .number(6, Field::number_of_all(data))
                .number(7, Field::length_of_all(data) as u32);
            byte_orders.push((1, Field::byte_order_of_all(data)));
        }
        // What rules of the same transaction could name the set by; they use its name.
        const ID: u32 = 1;
        // `nft`'s own notes, without which it shows names backwards.
        let mut notes = Vec::new();
        for (number, byte_order) in byte_orders {
            notes.extend([number, 4]);
            notes.extend(byte_order.to_ne_bytes());
        }
        attributes = attributes.number(10, ID).bytes(13, &notes);
        Message::NewSet.step(self.table, format!("create set {self}"), attributes)
    }

    fn key(self) -> &'static [Field] {
        match (self.kind, self.table) {
            (SetKind::Owners, _) => &[Field::Name, Field::Name],
            (SetKind::From(_) | SetKind::FromHosts, Table::Masquerade6) => &[Field::Address6],
            (SetKind::From(_) | SetKind::FromHosts, _) => &[Field::Address4],
            (SetKind::Ports, _) => &[Field::Name],
            (SetKind::Senders, _) => &[Field::Name, Field::Ethernet],
        }
    }

    /// Nothing if it is no map.
    fn data(self) -> &'static [Field] {
        match (self.kind, self.table) {
            (SetKind::Owners, Table::Masquerade4) => &[Field::Address4, Field::Address4],
            (SetKind::Owners, Table::Masquerade6) => &[Field::Address6, Field::Address6],
            (SetKind::Owners, Table::MacSpoof) => &[Field::Name, Field::Ethernet],
            _ => &[],
        }
    }

    /// The element that each set has from the start and that no packet and no attachment matches. Who flushes a set
    /// removes it, and every ADD looks for it.
    pub(crate) fn witness(self) -> Element {
        Element {
            set: self,
            key: Field::witness_of_all(self.key()),
        }
    }

    /// Adds the witness.
    pub(crate) fn add_witness(self) -> Step {
        let data = Field::witness_of_all(self.data());
        let data = Some(data.as_slice()).filter(|data| !data.is_empty());
        let comment = "no container: shows that nobody has flushed this";
        self.witness().add(data, comment)
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of table {}", self.kind.name(), self.table)
    }
}

impl Field {
    fn number(self) -> u32 {
        match self {
            Self::Name => NAME,
            Self::Address4 => IPV4,
            Self::Address6 => IPV6,
            Self::Ethernet => ETHERNET,
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Name => NAME_LENGTH,
            Self::Address4 => 4,
            Self::Address6 => 16,
            Self::Ethernet => 6,
        }
    }

    fn number_of_all(fields: &[Self]) -> u32 {
        let append = |number, field: &Self| number << 6 | field.number();
        fields.iter().fold(0, append)
    }

    /// Each field is filled up to a multiple of four bytes.
    fn length_of_all(fields: &[Self]) -> usize {
        let length = |field: &Self| field.length().next_multiple_of(4);
        fields.iter().map(length).sum()
    }

    fn byte_order_of_all(fields: &[Self]) -> u32 {
        const MIXED: u32 = 0;
        const HOST: u32 = 1;
        const NETWORK: u32 = 2;
        match fields {
            [Self::Name] => HOST,
            [_] => NETWORK,
            _ => MIXED,
        }
    }

    /// A value that no packet has: a name that no interface can have, and broadcast addresses as senders.
    fn witness_of_all(fields: &[Self]) -> Vec<u8> {
        let mut value = Vec::new();
        for field in fields {
            let byte = if *field == Self::Name { 0 } else { 0xff };
            let start = value.len();
            value.resize(start + field.length(), byte);
            if *field == Self::Name
                && let Some(first) = value.get_mut(start)
            {
                *first = b'/';
            }
            value.resize(value.len().next_multiple_of(4), 0);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sets_name_says_what_it_is() {
        let from = |network: &str| SetKind::From(network.parse().unwrap());
        for kind in [
            SetKind::Owners,
            SetKind::FromHosts,
            SetKind::Ports,
            SetKind::Senders,
            from("10.244.1.0/24"),
            from("fd00:10::/64"),
        ] {
            assert_eq!(SetKind::of_name(&kind.name()), Some(kind));
        }
        for other in ["", "mine", "from-", "from-here", "owners2"] {
            assert_eq!(SetKind::of_name(other), None, "{other}");
        }
    }
}
