//! State that the Go plugins cannot take over is converted, removed if no container needs it, or
//! reported.
//!
//! Leases in a database become files, masquerading and port maps become the Go plugins' rules of
//! iptables, and tables without a container are removed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use allocator::{DEFAULT_LOCK_TIMEOUT, Location, StoreKind};
use anyhow::{Context, Result};
use cni_types::{Attachment, NetworkName};
use firewall::{
    AttachmentDigest, EntryKind, FwMark, InventoryEntry, Iptables, IptablesOptions, Nftables,
    PortMap, PortMapping, Snat,
};
use ipnetwork::IpNetwork;
use node::{Node, Paths};
use state::BootId;

use crate::error::in_words;

/// The keys of `portmap` that rules of iptables would have to express.
const OWN_RULES: [&str; 6] = [
    "snat",
    "masqAll",
    "conditionsV4",
    "conditionsV6",
    "markMasqBit",
    "externalSetMarkChain",
];

/// The bit of the packets' mark that the Go plugin uses.
const MARK_BIT: u8 = 13;

/// A node whose plugins are about to be those of Go.
pub(super) struct GoingBack {
    node: Node,
    dry_run: bool,
    /// One line about each change.
    lines: Vec<String>,
}

impl GoingBack {
    pub(super) fn new(dry_run: bool) -> Self {
        Self {
            node: Node::read(&Paths::default()),
            dry_run,
            lines: Vec::new(),
        }
    }

    /// Moves addresses from databases, which the Go plugins cannot read, to files. They would
    /// allocate the addresses of running containers, so this comes before they are put back.
    pub(super) fn convert_databases(&mut self) -> Result<()> {
        for store in &self.node.stores {
            let networks = store.database.as_deref().unwrap_or_default();
            for network in networks {
                let name = &network.network;
                let to = Location {
                    data_dir: store.data_dir.clone(),
                    network: name.clone(),
                    backend: StoreKind::Disk,
                    lock_timeout: DEFAULT_LOCK_TIMEOUT,
                };
                if !self.dry_run {
                    allocator::convert(&to, BootId::read())
                        .with_context(|| format!("cannot move the addresses of {name} to files"))?;
                }
                let done = if self.dry_run {
                    "would become"
                } else {
                    "are now"
                };
                self.lines.push(format!(
                    "addresses of {name}: {done} files; remove \"backend\": \"db\" from its ipam"
                ));
            }
        }
        Ok(())
    }

    /// Converts or removes the entries of Twill's tables, and returns the lines about all changes
    /// and all that is left.
    pub(super) fn finish(mut self) -> Vec<String> {
        let entries = match &self.node.firewall {
            Ok(inventory) => inventory.entries.clone(),
            Err(problem) => {
                self.lines
                    .push(format!("left: rules of nftables: {problem}"));
                Vec::new()
            }
        };
        let owners = self.owners();
        let mut by_owner: BTreeMap<AttachmentDigest, Vec<&InventoryEntry>> = BTreeMap::new();
        for entry in &entries {
            by_owner.entry(entry.attachment).or_default().push(entry);
        }
        for (digest, entries) in by_owner {
            let words = entries.first().map_or("", |entry| &entry.words);
            let converted = match owners.get(&digest) {
                Some(owner) => self.convert(owner, &entries),
                None => Err(anyhow::anyhow!("no address is allocated to it")),
            };
            let verb = if self.dry_run {
                "would become"
            } else {
                "are now"
            };
            self.lines.push(match converted {
                Ok(()) => format!("rules for {words}: {verb} the Go plugins'"),
                Err(error) => format!("left: rules for {words}: {}", in_words(&error)),
            });
        }
        self.remove_tables();
        self.report_kept();
        self.lines
    }

    /// The attachments that have an address.
    fn owners(&self) -> BTreeMap<AttachmentDigest, Owner> {
        let networks = self.node.networks.iter();
        let leases = networks.flat_map(|network| {
            let leases = network.leases.iter();
            leases.map(move |lease| (&network.name, lease))
        });
        let owners = leases.filter_map(|(network, lease)| {
            let owner = lease.owner.as_ref().ok()?;
            let attachment = Attachment {
                container_id: owner.container_id.clone(),
                ifname: owner.ifname.clone()?,
            };
            let digest = AttachmentDigest::new(network, &attachment);
            let network = network.clone();
            Some((
                digest,
                Owner {
                    network,
                    attachment,
                },
            ))
        });
        owners.collect()
    }

    /// Creates the Go plugins' rules for an attachment, and removes ours.
    fn convert(&self, owner: &Owner, entries: &[&InventoryEntry]) -> Result<()> {
        let (network, attachment) = (&owner.network, &owner.attachment);
        let kinds = || entries.iter().map(|entry| &entry.kind);
        let masqueraded: Vec<IpNetwork> = kinds()
            .filter_map(|kind| match kind {
                EntryKind::Masqueraded(address) => Some(*address),
                _ => None,
            })
            .collect();
        let ports: Vec<(PortMapping, IpAddr)> = kinds()
            .filter_map(|kind| match kind {
                EntryKind::Port {
                    mapping, target, ..
                } => Some((*mapping, *target)),
                _ => None,
            })
            .collect();
        let has_mac_check = kinds().any(|kind| matches!(kind, EntryKind::OnlyMac { .. }));
        anyhow::ensure!(
            ports.is_empty() || !self.has_own_rules(network),
            "the Go plugin has no equal of portmap's keys in the network list"
        );
        if self.dry_run {
            return Ok(());
        }
        if !masqueraded.is_empty() {
            Iptables.masquerade(network, attachment, &masqueraded)?;
        }
        if !ports.is_empty() {
            map_ports(owner, &ports)?;
        }
        anyhow::ensure!(
            !has_mac_check,
            "only Twill's tables hold it to its MAC; they go when it is gone"
        );
        Nftables::open()?.remove(network, attachment)?;
        Ok(())
    }

    /// Whether the network's `portmap` has keys that change the rules.
    fn has_own_rules(&self, network: &NetworkName) -> bool {
        let lists = self.node.lists.iter().flatten();
        let mut lists = lists.filter_map(|file| file.list.as_ref().ok());
        let list = lists.find(|list| list.name == *network);
        let portmap = list.and_then(|list| node::plugin_of(list, "portmap"));
        portmap.is_some_and(|plugin| {
            let keys = plugin.conf.to_json().unwrap_or_default();
            let keys: serde_json::Value = serde_json::from_str(&keys).unwrap_or_default();
            OWN_RULES.iter().any(|key| keys.get(key).is_some())
        })
    }

    fn remove_tables(&mut self) {
        let tables = match &self.node.firewall {
            Ok(inventory) if !inventory.tables.is_empty() => inventory.tables.clone(),
            _ => return,
        };
        if self.dry_run {
            self.lines
                .push("tables of nftables: those without a container would be removed".to_owned());
            return;
        }
        let left = Nftables::open().and_then(|mut nftables| {
            nftables.remove_unused_tables()?;
            nftables.inventory()
        });
        match left {
            Ok(left) => {
                for table in tables {
                    self.lines.push(match left.tables.contains(&table) {
                        true => format!("left: table {table}, which a container needs: repeat `twill uninstall` once it is gone, or `nft delete table {table}`"),
                        false => format!("table {table}: removed"),
                    });
                }
            }
            Err(error) => self
                .lines
                .push(format!("left: tables of nftables: {error}")),
        }
    }

    /// The Go `flannel` has one file per container, and releases no other attachment.
    fn report_kept(&mut self) {
        for kept in self
            .node
            .kept
            .iter()
            .flat_map(|kept| kept.files.iter().flatten())
        {
            let is_further = kept
                .path
                .parent()
                .is_some_and(|dir| dir.ends_with(".attachments"));
            if is_further {
                self.lines.push(format!(
                    "left: {}, a further attachment, whose address the Go flannel does not release",
                    kept.path.display()
                ));
            }
        }
    }
}

/// An attachment of a network.
struct Owner {
    network: NetworkName,
    attachment: Attachment,
}

/// Maps the ports by the rules of the Go plugin, and removes ours.
fn map_ports(owner: &Owner, ports: &[(PortMapping, IpAddr)]) -> Result<()> {
    let mut mappings: Vec<PortMapping> = ports.iter().map(|(mapping, _)| *mapping).collect();
    mappings.sort_unstable();
    mappings.dedup();
    let mut targets: Vec<IpAddr> = ports.iter().map(|(_, target)| *target).collect();
    targets.sort_unstable();
    targets.dedup();
    let addresses: Vec<IpNetwork> = targets.into_iter().map(IpNetwork::from).collect();
    let map = PortMap {
        addresses: &addresses,
        mappings: &mappings,
        snat: Snat::WhereNeeded,
        conditions4: None,
        conditions6: None,
    };
    let options = IptablesOptions {
        mark: FwMark::Bit(MARK_BIT),
        conditions4: Default::default(),
        conditions6: Default::default(),
    };
    firewall::map_ports_by_iptables(&owner.network, &owner.attachment, &map, &options)?;
    Ok(())
}
