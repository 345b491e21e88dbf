//! The attachments of a node, and what it has of each: addresses, links, an ifb.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use allocator::Owner;
use cni_types::{Attachment, ContainerId, IfName, NetworkName};
use container_link::LinkAlias;
use netlink::LinkKind;

use crate::{KeptConfs, Node, NodeLink, Sighting};

/// An attachment, with or without its interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownAttachment {
    /// The network.
    pub network: NetworkName,
    /// The container.
    pub container_id: ContainerId,
    /// Its interface; `None` if the attachment's file does not name it, as the Go flannel's.
    pub ifname: Option<IfName>,
}

impl KnownAttachment {
    /// The attachment; `None` without an interface.
    pub fn attachment(&self) -> Option<Attachment> {
        Some(Attachment {
            container_id: self.container_id.clone(),
            ifname: self.ifname.clone()?,
        })
    }

    /// Whether it is the owner of an address of its network.
    pub fn is(&self, owner: &Owner) -> bool {
        self.is_of(&owner.container_id, owner.ifname.as_ref())
    }

    /// Whether it is this container's, and has this interface as far as both are known.
    pub fn is_of(&self, container_id: &ContainerId, ifname: Option<&IfName>) -> bool {
        let both = self.ifname.as_ref().zip(ifname);
        self.container_id == *container_id && both.is_none_or(|(own, other)| own == other)
    }

    fn alias(&self) -> Option<String> {
        let alias = LinkAlias::new(&self.network, &self.attachment()?);
        Some(alias.as_str().to_owned())
    }
}

impl Node {
    /// All attachments that have an address, a kept configuration or a cached result.
    pub fn attachments(&self) -> BTreeSet<KnownAttachment> {
        let mut all = BTreeSet::new();
        for network in &self.networks {
            let owners = network
                .leases
                .iter()
                .filter_map(|lease| lease.owner.as_ref().ok());
            all.extend(owners.map(|owner| KnownAttachment {
                network: network.name.clone(),
                container_id: owner.container_id.clone(),
                ifname: owner.ifname.clone(),
            }));
        }
        for kept in self.kept.iter().flat_map(KeptConfs::iter) {
            let Some(network) = &kept.network else {
                continue;
            };
            let without_interface = KnownAttachment {
                network: network.clone(),
                container_id: kept.container_id.clone(),
                ifname: None,
            };
            let is_of_container = |it: &&KnownAttachment| {
                it.network == *network && it.container_id == kept.container_id
            };
            // An attachment without an interface comes before those with one.
            let mut known = all.range(&without_interface..).take_while(is_of_container);
            if !known.any(|it| it.is_of(&kept.container_id, kept.ifname.as_ref())) {
                all.insert(KnownAttachment {
                    ifname: kept.ifname.clone(),
                    ..without_interface
                });
            }
        }
        all.extend(self.cached.iter().flatten().map(|cached| KnownAttachment {
            network: cached.network.clone(),
            container_id: cached.attachment.container_id.clone(),
            ifname: Some(cached.attachment.ifname.clone()),
        }));
        all
    }

    /// The owners of an address, each with its network.
    pub fn owners_of(&self, address: IpAddr) -> impl Iterator<Item = (&NetworkName, &Owner)> {
        self.networks.iter().flat_map(move |network| {
            let leases = network
                .leases
                .iter()
                .filter(move |it| it.address == address);
            let owners = leases.filter_map(|lease| lease.owner.as_ref().ok());
            owners.map(|owner| (&network.name, owner))
        })
    }

    /// The addresses that are recorded for an attachment.
    pub fn addresses_of(&self, known: &KnownAttachment) -> Vec<IpAddr> {
        let network = self.network(known.network.as_str());
        let leases = network.iter().flat_map(|network| &network.leases);
        let own = leases.filter(|lease| lease.owner.as_ref().is_ok_and(|it| known.is(it)));
        own.map(|lease| lease.address).collect()
    }

    /// The links of containers that have an attachment's addresses: those with the attachment's
    /// alias, and those without an alias.
    pub fn sightings_of(&self, known: &KnownAttachment) -> Vec<&Sighting> {
        let alias = known.alias();
        let addresses = self.addresses_of(known);
        let all = addresses
            .iter()
            .flat_map(|address| self.sightings.of_address(*address))
            .map(Rc::as_ref);
        all.filter(|it| it.alias.is_none() || it.alias == alias)
            .collect()
    }

    /// The node's end of an attachment's pair.
    pub fn node_end_of(&self, known: &KnownAttachment) -> Option<&NodeLink> {
        let links = self.links.as_ref().ok()?;
        let alias = known.alias();
        let is_own = |it: &&NodeLink| it.link.alias.is_some() && it.link.alias == alias;
        let by_alias = links
            .iter()
            .find(|it| is_own(it) && it.link.kind == LinkKind::Veth);
        by_alias.or_else(|| {
            let sighting = self
                .sightings_of(known)
                .into_iter()
                .find_map(|it| it.node_end);
            links.by_index(sighting?)
        })
    }

    /// The ifb through which an attachment's limited traffic leaves.
    pub fn ifb_of(&self, known: &KnownAttachment) -> Option<&NodeLink> {
        let links = self.links.as_ref().ok()?;
        let alias = LinkAlias::new(&known.network, &known.attachment()?);
        links.by_name(&alias.ifb_name())
    }
}
