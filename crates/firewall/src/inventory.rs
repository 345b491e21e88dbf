//! The entries of all attachments in Twill's tables, for commands that only read.

use std::net::IpAddr;

use cni_types::{Attachment, NetworkName};
use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::all::{tables_with_rules, unless_not_installed};
use crate::grant::Grant;
use crate::layout::NAME_LENGTH;
use crate::named::ForeignRules;
use crate::owner::RecordKey;
use crate::port_map::claim::Entry;
use crate::table::{SetKind, Table};
use crate::{FirewallError, Iptables, Nftables, PortMapping};

/// The contents of the tables of this crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The tables that exist, as `nft` names them: `ip twill_masquerade`.
    pub tables: Vec<String>,
    /// What others have removed from them, as the descriptions of the edits that
    /// [restore](Nftables::repair) it.
    pub missing: Vec<String>,
    /// What the attachments have, one entry per address, MAC or port.
    pub entries: Vec<InventoryEntry>,
    /// What rules outside these tables say, as the Go plugins and [`Iptables`] create them.
    pub foreign: ForeignRules,
}

/// One entry of an attachment in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryEntry {
    /// The attachment.
    pub attachment: AttachmentDigest,
    /// The attachment in words, cut off after 127 bytes: `eth0 of c1 in cbr0`.
    pub words: String,
    /// The effect of the entry.
    pub kind: EntryKind,
}

impl InventoryEntry {
    /// The attachment, by its words; `None` if these are cut off.
    pub fn owner(&self) -> Option<(NetworkName, Attachment)> {
        let (ifname, rest) = self.words.split_once(" of ")?;
        let (container_id, network) = rest.split_once(" in ")?;
        let network: NetworkName = network.parse().ok()?;
        let attachment = Attachment {
            container_id: container_id.parse().ok()?,
            ifname: ifname.parse().ok()?,
        };
        let digest = AttachmentDigest::new(&network, &attachment);
        (digest == self.attachment).then_some((network, attachment))
    }
}

/// The effect of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Packets from this address are masqueraded, except to the address's own network.
    Masqueraded(IpNetwork),
    /// Only this MAC may send through its port of a bridge.
    OnlyMac {
        /// The port.
        port: String,
        /// The MAC.
        mac: Mac,
    },
    /// A port of the node leads to it.
    Port {
        /// The ports.
        mapping: PortMapping,
        /// The container's address.
        target: IpAddr,
        /// Whether another attachment has claimed the same port since, so that packets go there.
        is_waiting: bool,
    },
}

/// Identifies an attachment of a network in the tables: a digest, since names may be too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentDigest(RecordKey);

impl AttachmentDigest {
    /// Of an attachment.
    pub fn new(network: &NetworkName, attachment: &Attachment) -> Self {
        let container_id = attachment.container_id.as_str();
        let ifname = attachment.ifname.as_str();
        Self::of(RecordKey::new(network.as_str(), container_id, ifname))
    }

    fn of(key: RecordKey) -> Self {
        Self(key.with_place(0))
    }
}

impl Nftables {
    /// Reads what the tables have for all attachments. A table that does not exist has nothing.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub fn inventory(&mut self) -> Result<Inventory, FirewallError> {
        let mut inventory = Inventory::default();
        for table in Table::OF_LINKS.into_iter().chain(Table::PORT_MAP) {
            let exists = self.kernel.ask(&[table])?;
            if exists.iter().all(Option::is_none) {
                continue;
            }
            inventory.tables.push(table.to_string());
            inventory.missing.extend(self.kernel.missing_in(table)?);
            let mut sets = vec![(table.owners(), false)];
            if Table::PORT_MAP.contains(&table) {
                sets.push((table.set(SetKind::Waiting), true));
            }
            for (set, is_waiting) in sets {
                let listed = self.kernel.elements_in(set)?;
                inventory
                    .entries
                    .extend(listed.into_iter().filter_map(|element| {
                        Some(InventoryEntry {
                            attachment: AttachmentDigest::of(RecordKey::of_bytes(&element.key)?),
                            kind: entry_kind(table, &element.data, is_waiting)?,
                            words: element.comment,
                        })
                    }));
            }
        }
        self.kernel.note_foreign(&mut inventory.foreign)?;
        for tables in tables_with_rules(false, true) {
            unless_not_installed(Iptables.note(tables, &mut inventory.foreign))?;
        }
        Ok(inventory)
    }
}

/// The effect of a record; `None` if the record has none by itself, or if another program wrote it.
fn entry_kind(table: Table, data: &[u8], is_waiting: bool) -> Option<EntryKind> {
    match Grant::of_data(table, data) {
        Some(Grant::Address(address)) => return Some(EntryKind::Masqueraded(address)),
        Some(Grant::Port(name, mac)) => {
            return Some(EntryKind::OnlyMac {
                port: text_of(&name),
                mac,
            });
        }
        None => {}
    }
    match Entry::of_data(table, data).filter(|_| Table::PORT_MAP.contains(&table))? {
        Entry::Target(_) => None,
        Entry::Claim(claim) => Some(EntryKind::Port {
            mapping: claim.mapping,
            target: claim.target,
            is_waiting,
        }),
    }
}

fn text_of(name: &[u8; NAME_LENGTH]) -> String {
    let text = name.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
