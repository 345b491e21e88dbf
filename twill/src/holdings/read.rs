//! Reading what attachments hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use allocator::{
    Location, Owner, Records, StoreKind, networks_in_files, read_database, read_files,
};
use anyhow::{Context, Result};
use cni_types::{ContainerId, IfName, NetworkName};
use netlink::Rtnetlink;
use state::BootId;
use twill_flannel::inspect::{KeptFile, kept_files};

use super::{HeldLease, HeldLink, Holding, Places, USUAL_IFNAME};

/// What the alias of a link starts with that Twill has created.
const MARKED: &str = "twill/";

/// The timeout for a lock, which an ADD holds for a few milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// By network, container and interface.
type ByAttachment = BTreeMap<(String, String, Option<String>), Holding>;

/// Which holdings are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// The networks; all if there is none.
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

/// Reads what attachments hold, in the order of their networks and containers. No lock is held
/// afterwards.
///
/// # Errors
/// If something cannot be read: nobody knows then what is dead.
pub(crate) fn read(places: &Places, filter: &Filter) -> Result<Vec<Holding>> {
    let boot = BootId::read();
    let mut all = ByAttachment::new();
    let data_dir = &places.data_dir;
    for network in networks_in_files(data_dir)? {
        if let Some(records) = read_files(data_dir, &network, boot)? {
            add_leases(&mut all, filter, &network, StoreKind::Disk, records);
        }
    }
    let database = read_database(data_dir, LOCK_TIMEOUT, boot)?;
    for (network, records) in database.into_iter().flatten() {
        add_leases(&mut all, filter, &network, StoreKind::Db, records);
    }
    for kept in kept_files(&places.flannel_dir)? {
        add_kept(&mut all, filter, kept);
    }
    let links = Rtnetlink::open()?.links();
    for link in links.context("cannot tell which containers have links")? {
        let Some(owner) = link.alias.as_deref().and_then(owner_of) else {
            continue;
        };
        let (network, owner) = owner;
        if !filter.wants(&network, &owner.container_id) {
            continue;
        }
        let held = HeldLink {
            index: link.index,
            since: seen_since(&link.name),
            name: link.name,
        };
        entry(&mut all, &network, owner).links.push(held);
    }
    Ok(all.into_values().collect())
}

/// Brings the index of each network up to date, as any ADD and DEL does: that may set the times of
/// files, which must not change between the reading of a lease and its release.
///
/// # Errors
/// If a network cannot be locked.
pub(crate) fn settle(places: &Places, filter: &Filter) -> Result<()> {
    for network in networks_in_files(&places.data_dir)? {
        if !filter.networks.is_empty() && !filter.networks.contains(&network) {
            continue;
        }
        let location = location(places, &network, StoreKind::Disk);
        if let Some(opened) = location.open_to_release()? {
            opened.begin_to_release(BootId::read())?.commit()?;
        }
    }
    Ok(())
}

pub(super) fn location(places: &Places, network: &NetworkName, store: StoreKind) -> Location {
    Location {
        data_dir: places.data_dir.clone(),
        network: network.clone(),
        backend: store,
        lock_timeout: LOCK_TIMEOUT,
    }
}

/// Links with an alias, by their indexes.
pub(super) fn links_with_alias(alias: &str) -> Result<Vec<u32>> {
    let links = Rtnetlink::open()?.links()?.into_iter();
    let own = links.filter(|link| link.alias.as_deref() == Some(alias));
    Ok(own.map(|link| link.index).collect())
}

fn entry<'a>(all: &'a mut ByAttachment, network: &NetworkName, owner: Owner) -> &'a mut Holding {
    let key = (
        network.to_string(),
        owner.container_id.to_string(),
        owner.ifname.as_ref().map(ToString::to_string),
    );
    all.entry(key)
        .or_insert_with(|| Holding::new(network, owner))
}

fn add_leases(
    all: &mut ByAttachment,
    filter: &Filter,
    network: &NetworkName,
    store: StoreKind,
    records: Records,
) {
    for record in records.records {
        let Ok(owner) = &record.owner else { continue };
        if filter.wants(network, &owner.container_id) {
            let owner = owner.clone();
            let lease = HeldLease { store, record };
            entry(all, network, owner).leases.push(lease);
        }
    }
}

/// A file of Go's flannel does not say its interface: it is that of the container's lease.
fn add_kept(all: &mut ByAttachment, filter: &Filter, file: KeptFile) {
    let Some(kept) = &file.kept else { return };
    let Some(network) = kept.network.clone() else {
        return;
    };
    if !filter.wants(&network, &kept.container_id) {
        return;
    }
    let ifname = kept.ifname.clone().or_else(|| {
        let leased = all.values().find(|holding| {
            holding.network == network && holding.owner.container_id == kept.container_id
        });
        let leased = leased.map(|holding| holding.owner.ifname.clone());
        leased.unwrap_or_else(|| USUAL_IFNAME.parse::<IfName>().ok())
    });
    let owner = Owner {
        container_id: kept.container_id.clone(),
        ifname,
    };
    entry(all, &network, owner).kept = Some(file);
}

/// The attachment in the alias of a link: `twill/<network>/<container ID>/<ifname>`. `None` for
/// names that are so long that the alias has a digest of them.
fn owner_of(alias: &str) -> Option<(NetworkName, Owner)> {
    let mut parts = alias.strip_prefix(MARKED)?.split('/');
    let (network, container_id, ifname) = (parts.next()?, parts.next()?, parts.next()?);
    let owner = Owner {
        container_id: container_id.parse().ok()?,
        ifname: Some(IfName::recorded(ifname).ok()?),
    };
    Some((network.parse().ok()?, owner))
}

/// A time at which a link existed already: the kernel sets the times of its directory below `/sys`
/// when somebody first looks there.
fn seen_since(name: &str) -> Option<std::time::SystemTime> {
    let path = Path::new("/sys/class/net").join(name);
    std::fs::symlink_metadata(path).ok()?.modified().ok()
}
