//! Rules of netfilter.

use std::collections::BTreeMap;
use std::net::IpAddr;

use allocator::{Age, Owner};
use anyhow::{Result, ensure};
use cni_types::{Attachment, NetworkName};
use firewall::{
    AttachmentDigest, EntryKind, FwMark, GuardRemoval, InventoryEntry, Iptables, IptablesOptions,
    Nftables, PortMap, PortMapping, Snat, remove_loopback_guard,
};
use ipnetwork::IpNetwork;
use node::Life;

use super::GoingBack;
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

/// An attachment of a network.
struct Named {
    network: NetworkName,
    attachment: Attachment,
}

/// The outcome for an attachment's rules.
enum Fate {
    /// They have become the Go plugins' rules.
    Converted,
    /// No container has them any more.
    Removed,
}

impl GoingBack {
    /// Converts or removes the entries of Twill's tables, and the tables once they are empty.
    pub(super) fn convert_rules(&mut self) {
        let entries = match &self.node.firewall {
            Ok(inventory) => inventory.entries.clone(),
            Err(problem) => {
                self.lines
                    .push(format!("left: rules of nftables: {problem}"));
                return;
            }
        };
        let leased = self.leased();
        let mut by_owner: BTreeMap<AttachmentDigest, Vec<&InventoryEntry>> = BTreeMap::new();
        for entry in &entries {
            by_owner.entry(entry.attachment).or_default().push(entry);
        }
        for (digest, entries) in by_owner {
            let words = entries.first().map_or("", |entry| &entry.words);
            match self.decide(leased.get(&digest), &entries) {
                Ok(Fate::Converted) => self.report(
                    &format!("rules for {words}"),
                    "are now the Go plugins'",
                    "would become the Go plugins'",
                ),
                Ok(Fate::Removed) => self.report(
                    &format!("rules for {words}"),
                    "removed, the container is gone",
                    "would be removed, the container is gone",
                ),
                Err(error) => self
                    .lines
                    .push(format!("left: rules for {words}: {}", in_words(&error))),
            }
        }
        // The links that port maps lead through.
        let bridges = self.node.networks.iter().filter_map(|it| it.bridge());
        let bridges: Vec<String> = bridges.collect();
        self.remove_tables(&bridges);
        self.remove_guard(&bridges);
    }

    /// The attachments that have an address.
    fn leased(&self) -> BTreeMap<AttachmentDigest, Named> {
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
                Named {
                    network,
                    attachment,
                },
            ))
        });
        owners.collect()
    }

    /// Converts an attachment's rules, or removes them if it is dead. The Go plugins release the
    /// address of a dead one that has one, and its rules with it.
    fn decide(&self, leased: Option<&Named>, entries: &[&InventoryEntry]) -> Result<Fate> {
        if let Some(owner) = leased {
            self.convert(owner, entries)?;
            return Ok(Fate::Converted);
        }
        let named = entries.iter().find_map(|entry| entry.owner());
        let (network, attachment) = named.ok_or_else(|| {
            anyhow::anyhow!("no address is allocated to it, and its name is cut off there")
        })?;
        let owner = Named {
            network,
            attachment,
        };
        if self.is_dead(&owner, entries) {
            if !self.dry_run {
                remove(&owner)?;
            }
            return Ok(Fate::Removed);
        }
        self.convert(&owner, entries)?;
        Ok(Fate::Converted)
    }

    fn is_dead(&self, owner: &Named, entries: &[&InventoryEntry]) -> bool {
        let lease_owner = Owner {
            container_id: owner.attachment.container_id.clone(),
            ifname: Some(owner.attachment.ifname.clone()),
        };
        entries.iter().all(|entry| match &entry.kind {
            EntryKind::Masqueraded(network) => {
                self.is_gone(&owner.network, &lease_owner, network.ip())
            }
            EntryKind::Port { target, .. } => self.is_gone(&owner.network, &lease_owner, *target),
            EntryKind::OnlyMac { port, .. } => {
                let links = self.node.links.as_ref();
                links.is_ok_and(|links| links.by_name(port).is_none())
            }
        })
    }

    fn is_gone(&self, network: &NetworkName, owner: &Owner, address: IpAddr) -> bool {
        let sightings = &self.node.sightings;
        let life = sightings.judge(network, owner, address, Age::ThisBoot);
        matches!(life, Life::Dead(_))
    }

    /// Creates the Go plugins' rules for an attachment, and removes ours.
    fn convert(&self, owner: &Named, entries: &[&InventoryEntry]) -> Result<()> {
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
        ensure!(
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
        ensure!(
            !has_mac_check,
            "only Twill's tables hold it to its MAC; they go when it is gone"
        );
        Nftables::open()?.remove(network, attachment)?;
        Ok(())
    }

    /// Whether the network's `portmap` has keys that change the rules.
    fn has_own_rules(&self, network: &NetworkName) -> bool {
        let lists = self.node.lists.iter();
        let mut lists = lists.filter_map(|file| file.list.as_ref().ok());
        let list = lists.find(|list| list.name == *network);
        let portmap = list.and_then(|list| node::plugin_of(list, "portmap"));
        portmap.is_some_and(|plugin| OWN_RULES.iter().any(|key| plugin.conf.contains(key)))
    }

    fn remove_tables(&mut self, bridges: &[String]) {
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
            nftables.remove_unused_tables(bridges)?;
            nftables.inventory()
        });
        match left {
            Ok(left) => {
                for table in tables {
                    let is_left = left.tables.contains(&table);
                    let is_guard = table == GUARDING_TABLE && !left.entries.iter().any(is_port4);
                    self.lines.push(match (is_left, is_guard) {
                        (false, _) => format!("table {table}: removed"),
                        (true, true) => format!("left: table {table}, {GUARD}"),
                        (true, false) => format!("left: table {table}, which a container needs: repeat `twill uninstall` once it is gone, or `nft delete table {table}`"),
                    });
                }
            }
            Err(error) => self
                .lines
                .push(format!("left: tables of nftables: {error}")),
        }
    }

    /// Removes the rule of iptables that guards the node's loopback address, and resets
    /// `route_localnet`.
    fn remove_guard(&mut self, bridges: &[String]) {
        let subject = "rule of iptables for 127.0.0.0/8 in the table raw";
        match remove_loopback_guard(bridges, self.dry_run) {
            Ok(GuardRemoval::Absent) => {}
            Ok(GuardRemoval::Removed) => self.report(subject, "removed", "would be removed"),
            Ok(GuardRemoval::Needed) => self.lines.push(format!("left: {subject}, {GUARD}")),
            Err(error) => self.lines.push(format!("left: {subject}: {error}")),
        }
    }
}

/// The table of nftables with a guard.
const GUARDING_TABLE: &str = "ip twill_portmap";

fn is_port4(entry: &InventoryEntry) -> bool {
    matches!(&entry.kind, EntryKind::Port { target, .. } if target.is_ipv4())
}

/// The reason for a guard to stay, and how to be rid of it.
const GUARD: &str = "which keeps containers off the node's own services while host ports, or \
    others, need route_localnet: repeat `twill uninstall` once nothing does";

/// Removes the rules of an attachment that is gone.
fn remove(owner: &Named) -> Result<()> {
    let (network, attachment) = (&owner.network, &owner.attachment);
    Nftables::open()?.remove(network, attachment)?;
    firewall::unmap_ports(network, attachment, false)?;
    Ok(())
}

/// Maps the ports by the rules of the Go plugin, and removes ours.
fn map_ports(owner: &Named, ports: &[(PortMapping, IpAddr)]) -> Result<()> {
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
