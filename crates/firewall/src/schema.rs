//! The chains of each table and their rules.

use std::collections::BTreeSet;

use netlink::attributes::{Attributes, Malformed, be32, find, text};
use netlink::{KernelMessage, KernelRequest};
use nix::libc;

use crate::edit::{Edit, Message};
use crate::expression::{
    Header, PacketField, Verdict, is, is_in, is_not, list, load, load_input_name, load_second,
    mask, masquerade, verdict,
};
use crate::kernel::Question;
use crate::layout::octets;
use crate::nf_tables::{HEADER, TABLE, chain, rule, set, table};
use crate::port_map;
use crate::rule::{ListedRule, Rule};
use crate::table::{Set, SetKind, Table};

/// A chain of a table, and its hook.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) chain_type: &'static str,
    pub(crate) hook: i32,
    pub(crate) priority: i32,
}

/// The rules that a chain should have.
#[derive(Debug)]
pub(crate) struct ChainRules {
    pub(crate) chain: &'static Chain,
    /// These come first, in this order.
    pub(crate) first: Vec<Rule>,
    /// The rules of sets that are created on demand follow, in any order.
    pub(crate) of_sets: Vec<Rule>,
    /// These come last, in this order.
    pub(crate) last: Vec<Rule>,
}

/// `priority srcnat`, the usual one for masquerading.
const MASQUERADE: &[Chain] = &[Chain {
    name: "postrouting",
    chain_type: "nat",
    hook: libc::NF_INET_POST_ROUTING,
    priority: libc::NF_IP_PRI_NAT_SRC,
}];

/// Before anything else sees the frame, as with the Go plugin: `priority dstnat`.
const MAC_SPOOF: &[Chain] = &[Chain {
    name: "prerouting",
    chain_type: "filter",
    hook: libc::NF_BR_PRE_ROUTING,
    priority: libc::NF_BR_PRI_NAT_DST_BRIDGED,
}];

impl ChainRules {
    /// Whether a listed rule of the chain is one of these.
    pub(crate) fn has(&self, listed: &ListedRule) -> bool {
        listed.chain == self.chain.name && self.all().any(|rule| rule.is(listed))
    }

    /// All of the rules, in a valid order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Rule> {
        self.first.iter().chain(&self.of_sets).chain(&self.last)
    }
}

impl Table {
    /// Creates the table, empty.
    pub(crate) fn create(self) -> Edit {
        let what = format!("create table {self}");
        Message::NewTable.edit(self, what, self.attribute())
    }

    /// Removes the table with its content.
    pub(crate) fn delete(self) -> Edit {
        let what = format!("remove table {self}");
        Message::DeleteTable.edit(self, what, self.attribute())
    }

    /// Makes an existing table's chains see packets, if the table is dormant.
    pub(crate) fn wake(self) -> Edit {
        let what = format!("wake table {self}");
        let awake = self.attribute().be32(table::FLAGS, 0);
        Message::NewTable.edit(self, what, awake).of_existing()
    }

    /// The question for the table's sets.
    pub(crate) fn list_sets(self) -> KernelRequest {
        let what = format!("list the sets of table {self}");
        Message::GetSet.request(self.family(), what, self.attribute())
    }

    /// The set that an answer to [`Table::list_sets`] is about; `None` if it is not of this crate.
    pub(crate) fn read_set(self, reply: &KernelMessage<'_>) -> Result<Option<Set>, Malformed> {
        let kind = SetKind::of_name(text(attributes_of(reply), set::NAME)?);
        Ok(kind.map(|kind| self.set(kind)))
    }

    /// The chains of the table.
    pub(crate) fn chains(self) -> &'static [Chain] {
        match self {
            Self::Masquerade4 | Self::Masquerade6 => MASQUERADE,
            Self::MacSpoof => MAC_SPOOF,
            Self::PortMap4 => port_map::CHAINS4,
            Self::PortMap6 => port_map::CHAINS6,
        }
    }

    /// Creates a chain.
    pub(crate) fn create_chain(self, chain: &Chain) -> Edit {
        let hook = Attributes::new()
            .be32(chain::HOOK_NUMBER, chain.hook as u32)
            .be32(chain::HOOK_PRIORITY, chain.priority as u32);
        let attributes = self
            .chain_attributes(chain)
            .nest(chain::HOOK, hook)
            .text(chain::TYPE, chain.chain_type);
        let what = format!("create chain {} in table {self}", chain.name);
        Message::NewChain.edit(self, what, attributes)
    }

    /// Removes a chain and its rules.
    pub(crate) fn delete_chain(self, chain: &Chain) -> Edit {
        let what = format!("remove chain {} of table {self}", chain.name);
        Message::DeleteChain.edit(self, what, self.chain_attributes(chain))
    }

    /// The rules that the table has from the start, in their order.
    fn rules(self) -> Vec<Rule> {
        let rules = match self {
            Self::Masquerade4 => {
                let multicast = vec![
                    load(self.destination()),
                    mask(&[0xf0, 0, 0, 0]),
                    is(&[0xe0, 0, 0, 0]),
                    verdict(Verdict::Return),
                ];
                vec![multicast, self.masquerade_hosts()]
            }
            Self::Masquerade6 => {
                let first_byte = PacketField {
                    length: 1,
                    ..self.destination()
                };
                let multicast = vec![load(first_byte), is(&[0xff]), verdict(Verdict::Return)];
                vec![multicast, self.masquerade_hosts()]
            }
            Self::MacSpoof => {
                let source = PacketField {
                    header: Header::Link,
                    offset: 6,
                    length: 6,
                };
                let allowed = vec![
                    load_input_name(),
                    load_second(source),
                    is_in(&SetKind::Senders.name()),
                    verdict(Verdict::Accept),
                ];
                let watched = vec![
                    load_input_name(),
                    is_in(&SetKind::BridgePorts.name()),
                    verdict(Verdict::Drop),
                ];
                vec![allowed, watched]
            }
            Self::PortMap4 | Self::PortMap6 => Vec::new(),
        };
        let rule = |expressions| Rule { expressions };
        rules.into_iter().map(rule).collect()
    }

    fn masquerade_hosts(self) -> Vec<Attributes> {
        let hosts = is_in(&SetKind::FromHosts.name());
        vec![load(self.source()), hosts, masquerade()]
    }

    /// The rules of the table's chains: those that it has from the start, and those of these sets.
    pub(crate) fn rules_with(self, sets: &BTreeSet<Set>) -> Vec<ChainRules> {
        if Self::PORT_MAP.contains(&self) {
            return port_map::rules(self, sets);
        }
        let of_all = |chain| ChainRules {
            chain,
            first: self.rules(),
            of_sets: sets.iter().filter_map(|set| set.rule()).collect(),
            last: Vec::new(),
        };
        self.chains().iter().map(of_all).collect()
    }

    /// Appends a rule to a chain.
    pub(crate) fn append(self, chain: &Chain, rule: &Rule) -> Edit {
        let expressions = list(rule.expressions.iter().cloned());
        let attributes = self
            .attribute()
            .text(rule::CHAIN, chain.name)
            .nest(rule::EXPRESSIONS, expressions);
        let what = format!("add a rule to chain {} of table {self}", chain.name);
        Message::NewRule.edit(self, what, attributes)
    }

    pub(crate) fn source(self) -> PacketField {
        let (offset, length) = if self.is_ipv6() { (8, 16) } else { (12, 4) };
        PacketField {
            header: Header::Network,
            offset,
            length,
        }
    }

    pub(crate) fn destination(self) -> PacketField {
        let source = self.source();
        PacketField {
            offset: source.offset + source.length,
            ..source
        }
    }

    fn attribute(self) -> Attributes {
        Attributes::new().text(TABLE, self.name())
    }

    fn chain_attributes(self, chain: &Chain) -> Attributes {
        self.attribute().text(chain::NAME, chain.name)
    }
}

/// The state of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedTable {
    /// The table's chains see no packets.
    pub(crate) is_dormant: bool,
    /// The number of chains, sets and other objects in the table.
    pub(crate) object_count: u32,
}

impl Question for Table {
    type Answer = ListedTable;

    fn request(&self) -> KernelRequest {
        let what = format!("find table {self}");
        Message::GetTable.request(self.family(), what, self.attribute())
    }

    fn read(&self, reply: &KernelMessage<'_>) -> Result<ListedTable, Malformed> {
        let field = |kind| Ok(be32(attributes_of(reply), kind)?.unwrap_or_default());
        Ok(ListedTable {
            is_dormant: field(table::FLAGS)? & table::DORMANT != 0,
            object_count: field(table::USE)?,
        })
    }
}

/// A table, or one of its chains.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FramePart {
    Table(Table),
    Chain(Table, &'static Chain),
}

impl Question for FramePart {
    /// Whether the part lets packets through to rules: the table is not dormant, the chain hooked.
    type Answer = bool;

    fn request(&self) -> KernelRequest {
        match self {
            Self::Table(table) => table.request(),
            Self::Chain(table, chain) => {
                let what = format!("find chain {} of table {table}", chain.name);
                Message::GetChain.request(table.family(), what, table.chain_attributes(chain))
            }
        }
    }

    fn read(&self, reply: &KernelMessage<'_>) -> Result<bool, Malformed> {
        match self {
            Self::Table(table) => Ok(!table.read(reply)?.is_dormant),
            Self::Chain(_, chain) => chain.is_hooked(reply),
        }
    }
}

impl Chain {
    /// Whether an answer is about a chain with this one's hook.
    fn is_hooked(&self, reply: &KernelMessage<'_>) -> Result<bool, Malformed> {
        let attributes = attributes_of(reply);
        let hook = find(attributes, chain::HOOK)?;
        Ok(text(attributes, chain::TYPE)? == self.chain_type
            && be32(hook, chain::HOOK_NUMBER)? == Some(self.hook as u32)
            && be32(hook, chain::HOOK_PRIORITY)? == Some(self.priority as u32))
    }
}

impl Set {
    /// The rule that looks into the set, if the set was created for a network.
    fn rule(self) -> Option<Rule> {
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
}

pub(crate) fn attributes_of<'r>(reply: &'r KernelMessage<'_>) -> &'r [u8] {
    reply.payload.get(HEADER..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_does_something_else() {
        for table in Table::MASQUERADE {
            let networks: &[&str] = match table {
                Table::Masquerade4 => &["10.1.1.0/24", "10.1.0.0/20", "10.1.0.0/16"],
                _ => &["fd00:1::/64", "fd00:1::/48", "fd00:2::/64"],
            };
            let sets = networks.iter().map(|network| {
                let network = network.parse().unwrap();
                table.set(SetKind::From(network))
            });
            let chains = table.rules_with(&sets.collect());
            let [rules] = chains.as_slice() else {
                panic!("one chain: {chains:?}");
            };
            assert_eq!((rules.first.len(), rules.of_sets.len()), (2, 3));
            let meanings = rules.all().map(Rule::meaning);
            let meanings: Vec<_> = meanings.collect::<Option<_>>().unwrap();
            for (position, meaning) in meanings.iter().enumerate() {
                let first = meanings.iter().position(|other| other == meaning);
                assert_eq!(first, Some(position));
            }
        }
    }
}
