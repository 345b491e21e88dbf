//! Addresses of containers that run, and that no lease records: somebody has removed or emptied the
//! address files.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use allocator::{Age, Lease, Location, Owner};
use anyhow::Result;
use cni_types::NetworkName;
use netlink::{Netns, Rtnetlink};
use node::{Network, Node, Sighting, Stores, with_conf};
use state::BootId;

use super::{Facts, Fault, Repair};
use crate::holdings::owner_of;

/// An address of a network's container that no lease of the network records.
#[derive(Clone, Debug)]
pub(crate) struct Unrecorded {
    network: NetworkName,
    address: IpAddr,
    /// The container; `None` if nothing names it.
    owner: Option<Owner>,
    link: String,
    netns: PathBuf,
    location: Location,
}

impl Unrecorded {
    /// Records the address, if its container still has it, and returns a text about the result.
    pub(super) fn record(&self) -> Result<String> {
        let Some(owner) = &self.owner else {
            return Ok("its container is not known".to_owned());
        };
        let opened = self.location.create()?;
        let mut store = opened.begin(BootId::read())?;
        // A DEL removes the link first, and releases the address under this lock.
        if !self.is_on_link() {
            return Ok("the container is gone".to_owned());
        }
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

    /// Whether the container still has the address.
    fn is_on_link(&self) -> bool {
        let addresses = || -> Result<Vec<_>> {
            let netns = Netns::open(&self.netns)?;
            let mut kernel = Rtnetlink::open_in(&netns, &Netns::current()?)?;
            Ok(kernel.all_addresses()?)
        };
        // Its namespace may be gone.
        let addresses = addresses().unwrap_or_default();
        addresses
            .iter()
            .any(|(_, it)| it.network.ip() == self.address)
    }

    fn place(&self) -> String {
        format!("{} in {}", self.link, self.netns.display())
    }
}

/// Looks for such addresses, on links with the alias of an attachment to the network, and on ports
/// of its bridge: other runtimes' containers may have addresses of the same subnet.
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
    let bridge = network.bridge().and_then(|name| links.by_name(&name));
    let is_port = |sighting: &Sighting| {
        let end = sighting.node_end.and_then(|end| links.by_index(end));
        let master = end.and_then(|end| end.link.master);
        master.is_some() && master == bridge.map(|bridge| bridge.link.index)
    };
    let is_own = |it: &Sighting| match it.alias.as_deref().and_then(owner_of) {
        Some((of, _)) => of == network.name,
        None => is_port(it),
    };
    let conf = network.conf.as_ref().ok()?.as_ref()?;
    let (location, _) = with_conf(conf, twill_host_local::ranges).ok()?;
    let sets = network.ranges.as_ref().ok()?.as_ref()?;
    let is_recorded = |address| {
        let leases = &network.leases;
        let at = leases.binary_search_by_key(&address, |it| it.address).ok();
        at.and_then(|at| leases.get(at))
            .is_some_and(|lease| lease.owner.is_ok())
    };
    let mut found = Vec::new();
    for (address, sightings) in node.sightings.addresses() {
        if is_recorded(address) || !sets.iter().any(|set| set.gives(address)) {
            continue;
        }
        if let Some(sighting) = sightings.iter().find(|it| is_own(it)) {
            found.push(Unrecorded {
                network: network.name.clone(),
                address,
                owner: owner(node, network, sighting),
                link: sighting.link.clone(),
                netns: sighting.netns.clone(),
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
                    it.place()
                ),
                None => format!("it is on {}, and no lease records it", it.place()),
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
