//! Rules that are left over and rules that are missing, compared with the attachments of the node.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use allocator::Owner;
use cni_types::json::Object;
use cni_types::{Attachment, NetworkName};
use firewall::{
    AttachmentDigest, Backend, EntryKind, Inventory, Nftables, RuleEffect, missing_masquerading,
    port_map_chain,
};
use ipnetwork::IpNetwork;
use node::{CachedAttachment, Evidence, HostPort, KeptConfs, Life, Node, Recorded, plugin_of};

use crate::holdings::{Fate, Filter, Holding, Inquest, collect};

/// Longer than an ADD or a DEL takes between the address and the rules of a container.
const PAUSE: Duration = Duration::from_millis(100);

/// The rules that are left over, and those that are missing.
#[derive(Debug, Default)]
pub(crate) struct RuleCheck {
    /// Attachments of which only rules are left.
    pub(crate) leftovers: Vec<Holding>,
    /// Chains of iptables with port maps that no rule leads to, and that are no known container's.
    pub(crate) unreached: BTreeSet<String>,
    /// Living attachments that should be masqueraded and are not.
    pub(crate) unmasqueraded: Vec<Unmasqueraded>,
    /// Living attachments, each with a port of the node that should lead to it and does not.
    pub(crate) unmapped: Vec<(CachedAttachment, HostPort)>,
}

/// A living attachment that is not masqueraded.
#[derive(Clone, Debug)]
pub(crate) struct Unmasqueraded {
    pub(crate) network: NetworkName,
    pub(crate) attachment: Attachment,
    pub(crate) addresses: Vec<IpNetwork>,
    pub(crate) backend: Backend,
}

impl RuleCheck {
    /// Compares the rules of a node with what its attachments hold.
    pub(crate) fn of(node: &Node, inquest: &Inquest<'_>, holdings: &[Holding]) -> Self {
        let Ok(inventory) = &node.firewall else {
            return Self::default();
        };
        let leftovers = named(node, inventory, &Known::of(holdings));
        let mut check = Self {
            unreached: inventory.foreign.unreached.clone(),
            ..Self::default()
        };
        // What can be restored comes first: the attachments may then have all they need.
        if inventory.missing.is_empty() {
            check.unmasqueraded = Masquerading::of(node, inventory).missing(node);
            check.unmapped = unmapped(node, inventory);
        }
        if leftovers.is_empty() && check.is_empty() {
            return check;
        }
        // The rules were read after the addresses, and an ADD or a DEL may be under way.
        thread::sleep(PAUSE);
        let again = Recorded::read(&node.paths);
        let again = collect(&again.stores, &again.kept, &again.links, &Filter::default());
        let Ok(again) = again else {
            return Self::default();
        };
        let known = Known::of(&again);
        check.unmasqueraded.retain(|it| {
            known.has(&it.network, it.attachment.container_id.as_str()) && it.is_missing()
        });
        check
            .unmapped
            .retain(|(it, _)| known.has(&it.network, it.attachment.container_id.as_str()));
        if !check.unreached.is_empty() {
            let now = Nftables::open().and_then(|mut nftables| nftables.inventory());
            let now = now.map(|now| now.foreign.unreached).unwrap_or_default();
            check.unreached.retain(|chain| now.contains(chain));
            // Those of a container go with its other rules, or belong to one that lives.
            for holding in again.iter().chain(&leftovers) {
                let id = holding.owner.container_id.as_str();
                let own = port_map_chain(holding.network.as_str(), id);
                check.unreached.remove(&own);
            }
            for cached in node.cached.iter().flatten() {
                let id = cached.attachment.container_id.as_str();
                let own = port_map_chain(cached.network.as_str(), id);
                check.unreached.remove(&own);
            }
        }
        let leftovers = leftovers.into_iter();
        check.leftovers = leftovers
            .filter(|it| !known.has(&it.network, it.owner.container_id.as_str()))
            .filter(|it| matches!(inquest.fate(it), Fate::Dead(_)))
            .collect();
        check
    }

    /// Whether no rule is left over and none is missing.
    fn is_empty(&self) -> bool {
        self.leftovers.is_empty()
            && self.unreached.is_empty()
            && self.unmasqueraded.is_empty()
            && self.unmapped.is_empty()
    }
}

/// The networks and container IDs of attachments.
struct Known<'a>(HashSet<(&'a str, &'a str)>);

impl<'a> Known<'a> {
    fn of(holdings: &'a [Holding]) -> Self {
        let names = |holding: &'a Holding| {
            (
                holding.network.as_str(),
                holding.owner.container_id.as_str(),
            )
        };
        Self(holdings.iter().map(names).collect())
    }

    fn has(&self, network: &NetworkName, container_id: &str) -> bool {
        self.0.contains(&(network.as_str(), container_id))
    }

    /// Whether any network has an attachment of a container.
    fn has_container(&self, container_id: &str) -> bool {
        self.0.iter().any(|(_, id)| *id == container_id)
    }
}

/// The attachments that rules name, and that have nothing else.
fn named(node: &Node, inventory: &Inventory, known: &Known<'_>) -> Vec<Holding> {
    let mut all: BTreeMap<String, Holding> = BTreeMap::new();
    let add = |all: &mut BTreeMap<String, Holding>, network: NetworkName, owner: Owner| {
        let of_network = node.network(network.as_str());
        let data_dir = of_network.map_or(&node.paths.data_dir, |network| &network.data_dir);
        let data_dir = data_dir.as_path().into();
        let holding = Holding::new(&network, owner, &data_dir);
        all.insert(holding.in_words(), holding);
    };
    for holding in &inventory.entries {
        let Some((network, owner)) = owner_in(&holding.words) else {
            continue;
        };
        let is_known = known.has(&network, owner.container_id.as_str());
        let attachment = (!is_known).then(|| owner.attachment()).flatten();
        let digest = attachment.map(|it| AttachmentDigest::new(&network, &it));
        if digest == Some(holding.attachment) {
            add(&mut all, network, owner);
        }
    }
    // In descending order, a rule that names the interface comes before those that do not.
    for named in inventory.foreign.named.iter().rev() {
        let (network, id) = (&named.network, &named.container_id);
        let is_added = |it: &Holding| it.network == *network && it.owner.container_id == *id;
        if named.ifname.is_none() && all.values().any(is_added) {
            continue;
        }
        if !known.has(network, id.as_str()) && is_recorded(node, network, id.as_str()) {
            let owner = Owner {
                container_id: id.clone(),
                ifname: named.ifname.clone(),
            };
            add(&mut all, network.clone(), owner);
        }
    }
    for id in &inventory.foreign.mapped {
        let is_added = |it: &Holding| it.owner.container_id == *id;
        if known.has_container(id.as_str()) || all.values().any(is_added) {
            continue;
        }
        // The rules do not name the network: they go by the DEL of any.
        let mut networks = node.networks.iter();
        let is_recorded = |network: &node::Network| is_recorded(node, &network.name, id.as_str());
        if let Some(first) = node.networks.first()
            && networks.all(is_recorded)
        {
            let owner = Owner {
                container_id: id.clone(),
                ifname: None,
            };
            add(&mut all, first.name.clone(), owner);
        }
    }
    all.into_values().collect()
}

/// The attachment in the words of a record: `eth0 of c1 in cbr0`.
fn owner_in(words: &str) -> Option<(NetworkName, Owner)> {
    let (ifname, rest) = words.split_once(" of ")?;
    let (container_id, network) = rest.split_once(" in ")?;
    let owner = Owner {
        container_id: container_id.parse().ok()?,
        ifname: Some(ifname.parse().ok()?),
    };
    Some((network.parse().ok()?, owner))
}

/// Whether a living container of a network would have an address that is read: whether the
/// network's addresses are host-local's, and no runtime still knows the container.
fn is_recorded(node: &Node, network: &NetworkName, container_id: &str) -> bool {
    let mut cached = node.cached.iter().flatten();
    let is_cached = cached
        .any(|it| it.network == *network && it.attachment.container_id.as_str() == container_id);
    let network = node.network(network.as_str());
    !is_cached
        && network.is_some_and(|network| {
            matches!(network.conf, Ok(None)) || matches!(network.ranges, Ok(Some(_)))
        })
}

/// What masquerades the attachments of a node.
struct Masquerading<'a> {
    /// The addresses that Twill's tables masquerade, by attachment.
    addresses: HashSet<(AttachmentDigest, IpAddr)>,
    /// The networks and container IDs that rules outside Twill's tables masquerade.
    by_others: HashSet<(&'a str, &'a str)>,
    /// The delegates' configurations that flannel has kept, by network and container ID.
    kept: HashMap<(&'a str, &'a str), &'a Object>,
}

impl<'a> Masquerading<'a> {
    fn of(node: &'a Node, inventory: &'a Inventory) -> Self {
        let addresses = inventory.entries.iter().filter_map(|it| match it.kind {
            EntryKind::Masqueraded(address) => Some((it.attachment, address.ip())),
            EntryKind::OnlyMac { .. } | EntryKind::Port { .. } => None,
        });
        let named = inventory.foreign.named.iter();
        let by_others = named.filter(|it| it.effect == RuleEffect::Masquerades);
        let kept = node.kept.iter().flat_map(KeptConfs::iter);
        Self {
            addresses: addresses.collect(),
            by_others: by_others
                .map(|it| (it.network.as_str(), it.container_id.as_str()))
                .collect(),
            kept: kept
                .filter_map(|kept| {
                    let network = kept.network.as_ref()?.as_str();
                    Some(((network, kept.container_id.as_str()), &*kept.conf))
                })
                .collect(),
        }
    }

    /// The living attachments whose configuration masquerades them, and whom nothing masquerades.
    fn missing(&self, node: &Node) -> Vec<Unmasqueraded> {
        let mut missing: Vec<Unmasqueraded> = Vec::new();
        for network in &node.networks {
            let of_list = conf_of_bridge(node, network);
            for lease in &network.leases {
                let (Ok(owner), Some(Life::Alive(Evidence::Address(sighting)))) =
                    (&lease.owner, &lease.life)
                else {
                    continue;
                };
                let name = network.name.as_str();
                let names = (name, owner.container_id.as_str());
                let conf = self.kept.get(&names).copied().or(of_list);
                let Some(backend) = conf.and_then(backend) else {
                    continue;
                };
                let Some(attachment) = owner.attachment() else {
                    continue;
                };
                let digest = AttachmentDigest::new(&network.name, &attachment);
                if self.by_others.contains(&names)
                    || self.addresses.contains(&(digest, lease.address))
                {
                    continue;
                }
                let same = |it: &&mut Unmasqueraded| {
                    it.network == network.name && it.attachment == attachment
                };
                match missing.iter_mut().rev().find(same) {
                    Some(it) => it.addresses.push(sighting.address),
                    None => missing.push(Unmasqueraded {
                        network: network.name.clone(),
                        addresses: vec![sighting.address],
                        attachment,
                        backend,
                    }),
                }
            }
        }
        missing
    }
}

impl Unmasqueraded {
    /// Whether nothing masquerades the attachment now, whatever would have created the rules.
    pub(crate) fn is_missing(&self) -> bool {
        let (network, attachment) = (&self.network, &self.attachment);
        let missing = missing_masquerading(self.backend, network, attachment, &self.addresses);
        matches!(missing, Ok(Some(_)))
    }
}

/// The configuration of `bridge` in a list that names it: with flannel, that of a container counts.
fn conf_of_bridge<'a>(node: &'a Node, network: &'a node::Network) -> Option<&'a Object> {
    let lists = node.lists.iter();
    let mut lists = lists.filter_map(|file| file.list.as_ref().ok());
    let list = lists.find(|list| list.name == network.name)?;
    match plugin_of(list, "flannel") {
        Some(_) => None,
        None => network.conf.as_ref().ok()?.as_ref(),
    }
}

/// The backend of a configuration of `bridge` that masquerades.
fn backend(conf: &Object) -> Option<Backend> {
    let text = |key| conf.decode::<String>(key).ok().flatten();
    let masquerades = conf.decode::<bool>("ipMasq").ok().flatten() == Some(true);
    let is_bridge = text("type").as_deref() == Some("bridge");
    let backend = text("ipMasqBackend").and_then(|text| text.parse().ok());
    (is_bridge && masquerades).then(|| backend.unwrap_or_default())
}

/// The ports that a runtime has passed for living attachments, and that nothing maps.
fn unmapped(node: &Node, inventory: &Inventory) -> Vec<(CachedAttachment, HostPort)> {
    let lists = node.lists.iter();
    let lists = lists.filter_map(|file| file.list.as_ref().ok());
    let with_portmap = lists.filter(|list| plugin_of(list, "portmap").is_some());
    let with_portmap: HashSet<&str> = with_portmap.map(|list| list.name.as_str()).collect();
    let mut unmapped = Vec::new();
    for cached in node.cached.iter().flatten() {
        let (network, attachment) = (cached.network.as_str(), &cached.attachment);
        let leases = node.network(network).into_iter().flat_map(|it| &it.leases);
        let mut own = leases.filter(|lease| lease.owner.as_ref().is_ok_and(|it| it.is(attachment)));
        let is_alive = own.any(|lease| matches!(lease.life, Some(Life::Alive(_))));
        let foreign = &inventory.foreign;
        let by_others = foreign.mapped.contains(&attachment.container_id)
            || foreign.named.iter().any(|it| {
                it.effect == RuleEffect::MapsPorts
                    && it.network == cached.network
                    && it.container_id == attachment.container_id
            });
        if !is_alive || by_others || !with_portmap.contains(network) {
            continue;
        }
        let digest = AttachmentDigest::new(&cached.network, attachment);
        let own = inventory
            .entries
            .iter()
            .filter(|it| it.attachment == digest);
        let mapped: Vec<(u16, String)> = own
            .filter_map(|it| match &it.kind {
                EntryKind::Port { mapping, .. } => {
                    Some((mapping.host_port, mapping.protocol.name().to_owned()))
                }
                EntryKind::Masqueraded(_) | EntryKind::OnlyMac { .. } => None,
            })
            .collect();
        let is_mapped = |port: &HostPort| {
            let protocol = port.protocol.to_ascii_lowercase();
            port.host_port == 0 || mapped.contains(&(port.host_port, protocol))
        };
        let missing = cached.host_ports.iter().filter(|port| !is_mapped(port));
        unmapped.extend(missing.map(|port| (cached.clone(), port.clone())));
    }
    unmapped
}
