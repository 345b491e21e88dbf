//! Reading the holdings of attachments.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use allocator::{Location, Owner, StoreKind, networks_in_files};
use anyhow::{Context, Result};
use cni_types::{ContainerId, IfName, NetworkName};
use container_link::LinkAlias;
use netlink::{Link, Rtnetlink};
use node::{Kept, KeptConfs, NetworkStore, NodeLinks, Part, Paths, Recorded, Stores};
use state::BootId;

use super::{HeldConf, HeldLease, HeldLink, Holding, USUAL_IFNAME};

/// The timeout for a lock, which an ADD holds for a few milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The network, the container, the interface, and the number of host-local's directory: two
/// directories may have networks of the same name.
type Key = (NetworkName, ContainerId, Option<IfName>, usize);

/// Selects holdings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// The networks; an empty list selects all.
    pub(crate) networks: Vec<NetworkName>,
    /// The container; any if `None`.
    pub(crate) container: Option<ContainerId>,
}

impl Filter {
    fn wants(&self, network: &NetworkName, container_id: &ContainerId) -> bool {
        (self.networks.is_empty() || self.networks.contains(network))
            && self.container.as_ref().is_none_or(|it| it == container_id)
    }
}

/// Reads the holdings of attachments, in the order of their networks and containers. Holds no lock
/// afterwards.
///
/// # Errors
/// As [`collect`].
pub(crate) fn read(paths: &Paths, filter: &Filter) -> Result<Vec<Holding>> {
    let Recorded {
        stores,
        kept,
        links,
        ..
    } = Recorded::of_plugins(paths);
    collect(&stores, &kept, &links, filter)
}

/// Collects the holdings of attachments from the records of a node, in the order of their networks
/// and containers.
///
/// # Errors
/// If a part of the records could not be read, because a holding would then look older or emptier
/// than it is.
pub(crate) fn collect(
    stores: &[Stores],
    kept: &[KeptConfs],
    links: &Part<NodeLinks>,
    filter: &Filter,
) -> Result<Vec<Holding>> {
    let mut all = Collection::new(stores, filter);
    for (dir, stores) in stores.iter().enumerate() {
        for store in [&stores.files, &stores.database] {
            for network in store.as_ref().map_err(Clone::clone)? {
                all.add_leases(dir, network)?;
            }
        }
    }
    for kept in kept {
        let flannel_dir: Rc<Path> = kept.data_dir.as_path().into();
        for file in kept.files.as_ref().map_err(Clone::clone)? {
            if let Some(kept) = &file.kept {
                let held = HeldConf {
                    flannel_dir: Rc::clone(&flannel_dir),
                    changed: file.changed,
                };
                all.add_kept(kept, held);
            }
        }
    }
    let links = links.as_ref().map_err(Clone::clone);
    for it in links
        .context("cannot determine which containers have links")?
        .iter()
    {
        all.add_link(&it.link);
    }
    Ok(all.holdings.into_values().collect())
}

/// The holdings of attachments, while they are collected.
struct Collection<'a> {
    filter: &'a Filter,
    data_dirs: Vec<Rc<Path>>,
    holdings: BTreeMap<Key, Holding>,
}

impl<'a> Collection<'a> {
    fn new(stores: &[Stores], filter: &'a Filter) -> Self {
        let data_dirs = stores.iter().map(|stores| stores.data_dir.as_path().into());
        Self {
            filter,
            data_dirs: data_dirs.collect(),
            holdings: BTreeMap::new(),
        }
    }

    fn add_leases(&mut self, dir: usize, store: &NetworkStore) -> Result<()> {
        let network = &store.network;
        for record in &store.records.as_ref().map_err(Clone::clone)?.records {
            let Ok(owner) = &record.owner else { continue };
            if self.filter.wants(network, &owner.container_id) {
                let lease = HeldLease::of(store.kind, record);
                let holding = self.holding_in(dir, network, owner.clone());
                // Nearly all have one: a vector would reserve room for four.
                holding.leases.reserve_exact(1);
                holding.leases.push(lease);
            }
        }
        Ok(())
    }

    /// A file of the Go flannel names no interface; the container's lease does.
    fn add_kept(&mut self, kept: &Kept, held: HeldConf) {
        let Some(network) = &kept.network else {
            return;
        };
        if !self.filter.wants(network, &kept.container_id) {
            return;
        }
        let ifname = kept.ifname.clone().or_else(|| {
            let leased = self.of_container(network, &kept.container_id).next();
            let leased = leased.map(|(_, holding)| holding.owner.ifname.clone());
            leased.unwrap_or_else(|| USUAL_IFNAME.parse::<IfName>().ok())
        });
        let owner = Owner {
            container_id: kept.container_id.clone(),
            ifname,
        };
        self.holding(network, owner).kept = Some(held);
    }

    fn add_link(&mut self, link: &Link) {
        let Some((network, owner)) = link.alias.as_deref().and_then(owner_of) else {
            return;
        };
        if self.filter.wants(&network, &owner.container_id) {
            let held = HeldLink {
                index: link.index,
                since: seen_since(&link.name),
                name: link.name.clone(),
            };
            self.holding(&network, owner).links.push(held);
        }
    }

    /// The holdings of a container in a network.
    fn of_container(
        &self,
        network: &NetworkName,
        container_id: &ContainerId,
    ) -> impl Iterator<Item = (&Key, &Holding)> {
        let first = (network.clone(), container_id.clone(), None, 0);
        let all = self.holdings.range(first..);
        all.take_while(move |(_, holding)| {
            holding.network == *network && holding.owner.container_id == *container_id
        })
    }

    /// The holding of an attachment, in the directory that has its addresses.
    fn holding(&mut self, network: &NetworkName, owner: Owner) -> &mut Holding {
        let dir = {
            let mut known = self.of_container(network, &owner.container_id);
            let known = known.find(|(_, holding)| holding.owner == owner);
            known.map_or(0, |((.., dir), _)| *dir)
        };
        self.holding_in(dir, network, owner)
    }

    fn holding_in(&mut self, dir: usize, network: &NetworkName, owner: Owner) -> &mut Holding {
        let key = (
            network.clone(),
            owner.container_id.clone(),
            owner.ifname.clone(),
            dir,
        );
        let data_dir = self.data_dirs.get(dir);
        self.holdings.entry(key).or_insert_with(|| {
            let none = || Rc::from(Path::new(""));
            let data_dir = data_dir.cloned().unwrap_or_else(none);
            Holding::new(network, owner, &data_dir)
        })
    }
}

/// Brings the index of each network of a node up to date, as any ADD and DEL does. Doing so may set
/// times of address files, which must stay the same from the reading of a lease to its release.
///
/// # Errors
/// If a directory cannot be read, or a network cannot be locked. All others are brought up to date.
pub(crate) fn settle(paths: &Paths, filter: &Filter) -> Result<()> {
    let mut settled = Ok(());
    for stores in Recorded::of_plugins(paths).stores {
        settled = settled.and(settle_dir(&stores.data_dir, filter));
    }
    settled
}

fn settle_dir(data_dir: &Path, filter: &Filter) -> Result<()> {
    for network in networks_in_files(data_dir)? {
        if !filter.networks.is_empty() && !filter.networks.contains(&network) {
            continue;
        }
        let location = location(data_dir, &network, StoreKind::Disk);
        if let Some(opened) = location.open_to_release()? {
            opened.begin_to_release(BootId::read())?.commit()?;
        }
    }
    Ok(())
}

pub(super) fn location(data_dir: &Path, network: &NetworkName, store: StoreKind) -> Location {
    Location {
        data_dir: data_dir.to_owned(),
        network: network.clone(),
        backend: store,
        lock_timeout: LOCK_TIMEOUT,
    }
}

/// The indexes of the links with an alias.
pub(crate) fn links_with_alias(alias: &str) -> Result<Vec<u32>> {
    let links = Rtnetlink::open()?.links()?.into_iter();
    let own = links.filter(|link| link.alias.as_deref() == Some(alias));
    Ok(own.map(|link| link.index).collect())
}

/// The attachment in the alias of a link: `twill/<network>/<container ID>/<ifname>`. `None` if the
/// names are so long that the alias contains a digest instead.
pub(crate) fn owner_of(alias: &str) -> Option<(NetworkName, Owner)> {
    let mut parts = alias.strip_prefix(LinkAlias::PREFIX)?.split('/');
    let (network, container_id, ifname) = (parts.next()?, parts.next()?, parts.next()?);
    let owner = Owner {
        container_id: container_id.parse().ok()?,
        ifname: Some(IfName::recorded(ifname).ok()?),
    };
    Some((network.parse().ok()?, owner))
}

/// A time at which a link certainly existed: the kernel sets the times of its directory in `/sys`
/// at the first access to it.
fn seen_since(name: &str) -> Option<SystemTime> {
    let path = Path::new("/sys/class/net").join(name);
    std::fs::symlink_metadata(path).ok()?.modified().ok()
}
