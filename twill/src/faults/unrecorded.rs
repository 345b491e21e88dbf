//! Addresses of containers that run, and that no lease records: somebody has removed or emptied the
//! address files.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use allocator::{Age, Lease, Location, Owner};
use anyhow::Result;
use cni_types::NetworkName;
use netlink::LinkKind;
use node::{Network, Node, Sighting, Stores, with_conf};
use state::BootId;

use super::{Facts, Fault, Repair};
use crate::holdings::{links_with_alias, owner_of};

/// An address on a port of a network's bridge that no lease of the network records.
#[derive(Clone, Debug)]
pub(crate) struct Unrecorded {
    network: NetworkName,
    address: IpAddr,
    /// The container; `None` if nothing names it.
    owner: Option<Owner>,
    alias: Option<String>,
    place: String,
    location: Location,
}

impl Unrecorded {
    /// Records the address, if its container still has it, and returns a text about the result.
    pub(super) fn record(&self) -> Result<String> {
        let gone = match &self.alias {
            Some(alias) => links_with_alias(alias)?.is_empty(),
            None => false,
        };
        let Some(owner) = self.owner.as_ref().filter(|_| !gone) else {
            return Ok("the container is gone".to_owned());
        };
        let opened = self.location.create()?;
        let mut store = opened.begin(BootId::read())?;
        let is_new = store.adopt(&Lease {
            address: self.address,
            owner: owner.clone(),
            age: Age::ThisBoot,
        })?;
        store.commit()?;
        Ok(match is_new {
            true => "recorded",
            false => "another container or a text of somebody's has it: it was left alone",
        }
        .to_owned())
    }
}

/// Looks for such addresses. Only ports of the network's bridge count: containers in which other
/// nodes run may have containers with the same addresses.
pub(super) fn read(node: &Node) -> Vec<Unrecorded> {
    let mut found = Vec::new();
    for network in node.networks.iter().filter(|network| network.is_read) {
        found.extend(of_network(node, network).unwrap_or_default());
    }
    // A container that was added meanwhile has a lease by now.
    let dirs: BTreeSet<PathBuf> = found
        .iter()
        .map(|it| it.location.data_dir.clone())
        .collect();
    let stores: Vec<_> = dirs
        .iter()
        .map(|dir| Stores::read(dir, node.boot))
        .collect();
    let is_recorded = |it: &Unrecorded| {
        let mut own = stores
            .iter()
            .filter(|store| store.data_dir == it.location.data_dir)
            .flat_map(Stores::networks)
            .filter(|store| store.network == it.network)
            .flat_map(|store| store.records.iter().flat_map(|records| &records.records));
        own.any(|record| record.address == it.address && record.owner.is_ok())
    };
    found.retain(|it| !is_recorded(it));
    found.sort_by(|one, other| (&one.network, one.address).cmp(&(&other.network, other.address)));
    found
}

fn of_network(node: &Node, network: &Network) -> Option<Vec<Unrecorded>> {
    let links = node.links.as_ref().ok()?;
    let bridge = links.by_name(&network.bridge()?)?;
    if !matches!(bridge.link.kind, LinkKind::Bridge { .. }) {
        return None;
    }
    let conf = network.conf.as_ref().ok()?.as_ref()?;
    let (location, _) = with_conf(conf, twill_host_local::ranges).ok()?;
    let sets = network.ranges.as_ref().ok()?.as_ref()?;
    let mut found = Vec::new();
    for (address, sightings) in node.sightings.addresses() {
        let on_port = sightings.iter().find(|it| {
            let end = it.node_end.and_then(|end| links.by_index(end));
            end.is_some_and(|end| end.link.master == Some(bridge.link.index))
        });
        let leased = network
            .leases
            .binary_search_by_key(&address, |it| it.address);
        let leased = leased.ok().and_then(|at| network.leases.get(at));
        if let Some(sighting) = on_port
            && leased.is_none_or(|lease| lease.owner.is_err())
            && sets.iter().any(|set| set.gives(address))
        {
            found.push(Unrecorded {
                network: network.name.clone(),
                address,
                owner: owner(node, network, sighting),
                alias: sighting.alias.clone(),
                place: format!("{} in {}", sighting.link, sighting.netns.display()),
                location: Location {
                    data_dir: network.data_dir.clone(),
                    ..location.clone()
                },
            });
        }
    }
    Some(found)
}

/// The container of a link: that of its alias, or the one that a runtime has added with this
/// namespace. An alias of another network's attachment names none.
fn owner(node: &Node, network: &Network, sighting: &Sighting) -> Option<Owner> {
    if let Some(alias) = &sighting.alias {
        let (of, owner) = owner_of(alias)?;
        return (of == network.name).then_some(owner);
    }
    let netns = fs::canonicalize(&sighting.netns).ok()?;
    let cached = node.cached.iter().flatten();
    let mut own = cached.filter(|it| {
        it.network == network.name
            && it.attachment.ifname.as_str() == sighting.link
            && it
                .netns
                .as_ref()
                .and_then(|path| fs::canonicalize(path).ok())
                .as_ref()
                == Some(&netns)
    });
    let attachment = &own.next()?.attachment;
    Some(Owner {
        container_id: attachment.container_id.clone(),
        ifname: Some(attachment.ifname.clone()),
    })
}

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let found = facts.host.unrecorded.iter();
    found
        .map(|it| Fault {
            kind: "unrecorded-address",
            subject: format!("{} in {}", it.address, it.network),
            evidence: match &it.owner {
                Some(owner) => format!(
                    "{} has it on {}, and no lease records it: somebody has removed or emptied \
                     the file",
                    owner.in_words(),
                    it.place
                ),
                None => format!("it is on {}, and no lease records it", it.place),
            },
            effect: "the next ADD may give the address to a second container",
            command: match &it.owner {
                Some(_) => "twill repair unrecorded-address --apply".to_owned(),
                None => {
                    "delete the pod or container: its successor's address is recorded".to_owned()
                }
            },
            repair: it
                .owner
                .is_some()
                .then(|| Repair::Record(Box::new(it.clone()))),
        })
        .collect()
}
