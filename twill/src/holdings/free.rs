//! Freeing the holdings of a dead attachment, unless they have changed since they were read.

use std::ffi::OsString;

use allocator::{Owner, Store, StoreKind, read_file};
use anyhow::Result;
use cni_plugin::{Call, ContainerNetns, Environment, Plugin, Request};
use cni_types::{Attachment, Error};
use living::{Namespace, Namespaces};
use netlink::Rtnetlink;
use state::BootId;
use twill_bandwidth::BANDWIDTH;
use twill_bridge::BRIDGE;
use twill_ipvlan::IPVLAN;
use twill_macvlan::MACVLAN;
use twill_portmap::PORTMAP;

use super::read::{links_with_alias, location};
use super::{HeldLease, Holding};
use crate::PLUGINS;

/// The outcome of freeing a holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    /// All of it was freed.
    All,
    /// It was left alone, because it has changed since it was read: the container was added again,
    /// or another process has deleted it.
    Changed,
}

/// Frees the holdings of a dead attachment. With a kept configuration, flannel's DEL does it;
/// without one, the DEL of each plugin, which needs only the attachment. `namespace` is a namespace
/// that still has the interface.
///
/// # Errors
/// The error of a plugin's DEL. A repeated call frees the rest.
pub(crate) fn free(
    holding: &Holding,
    namespace: Option<&Namespace>,
    environment: &Environment,
) -> Result<Freed> {
    let Some(attachment) = holding.attachment() else {
        return Ok(Freed::Changed);
    };
    let request = request(holding, &attachment, namespace, environment);
    let netns = namespace.map(|namespace| ContainerNetns::open(&namespace.path));
    let netns = netns.as_ref();
    let Some(kept) = &holding.kept else {
        let plugins: &[&dyn Plugin] = match (netns, holding.links.is_empty()) {
            (Some(_), true) => &[&PORTMAP, &BANDWIDTH, &BRIDGE, &IPVLAN, &MACVLAN],
            _ => &[&PORTMAP, &BANDWIDTH, &BRIDGE],
        };
        return release(holding, || {
            PLUGINS.with_call("twill", &request, |call| {
                delete_by(plugins, call, &attachment, netns)
            })?;
            remove_links(holding)
        });
    };
    let mut freed = Freed::Changed;
    PLUGINS.with_call("flannel", &request, |call| {
        let dir = &kept.flannel_dir;
        twill_flannel::delete_unchanged(call, dir, &attachment, kept.changed, |delete| {
            if has_grown(holding, &attachment)? {
                return Ok(());
            }
            delete_by(&[&PORTMAP, &BANDWIDTH], call, &attachment, netns)?;
            delete()?;
            // The delegate has not released these leases: they are in another directory than that
            // of its configuration.
            freed = release(holding, || Ok(()))?;
            Ok::<_, anyhow::Error>(())
        })
    })?;
    Ok(freed)
}

/// Whether an attachment holds more than was read: its ADD had written the kept configuration by
/// then, and nothing else. No ADD runs now.
fn has_grown(holding: &Holding, attachment: &Attachment) -> Result<bool> {
    if let Some(alias) = holding.alias() {
        let is_known = |index: &u32| holding.links.iter().any(|link| link.index == *index);
        if !links_with_alias(&alias)?.iter().all(is_known) {
            return Ok(true);
        }
    }
    if !holding.leases.is_empty() {
        return Ok(false);
    }
    for kind in [StoreKind::Disk, StoreKind::Db] {
        let location = location(&holding.data_dir, &holding.network, kind);
        if let Some(opened) = location.open_to_release()? {
            let mut store = opened.begin_to_release(BootId::read())?;
            if !store.held_by(attachment)?.is_empty() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Removes the rest of a holding, and then releases its leases, unless it has changed since it was
/// read. The network is locked throughout, so no ADD of the same attachment gets an address
/// meanwhile.
fn release(holding: &Holding, remove_rest: impl FnOnce() -> Result<()>) -> Result<Freed> {
    let kinds = [StoreKind::Disk, StoreKind::Db];
    let has = |kind: &StoreKind| holding.leases.iter().any(|lease| lease.store == *kind);
    let kind = kinds.into_iter().find(has).unwrap_or_default();
    let location = location(&holding.data_dir, &holding.network, kind);
    let opened = location.open_to_release()?;
    let Some(opened) = opened else {
        remove_rest()?;
        return Ok(Freed::All);
    };
    let mut store = opened.begin_to_release(BootId::read())?;
    if !is_as_read(holding, &mut *store)? {
        return Ok(Freed::Changed);
    }
    remove_rest()?;
    for lease in holding.leases.iter().filter(|lease| lease.store == kind) {
        store.release(lease.address)?;
    }
    store.commit()?;
    Ok(Freed::All)
}

/// Removes the links of a holding that are left after the DEL: those that a person has renamed.
fn remove_links(holding: &Holding) -> Result<()> {
    let Some(alias) = holding.alias() else {
        return Ok(());
    };
    let mut left = links_with_alias(&alias)?;
    left.retain(|index| holding.links.iter().any(|link| link.index == *index));
    Ok(Rtnetlink::open()?.remove_links(&left)?)
}

/// Whether a holding is unchanged since it was read, under the network's lock. Leases that
/// flannel's DEL has released by now do not count as changes.
fn is_as_read(holding: &Holding, store: &mut dyn Store) -> Result<bool> {
    let deleted = holding.kept.is_some();
    for lease in &holding.leases {
        let now = lease_now(holding, lease, store)?;
        let is_same = now.as_ref() == Some(&(*lease, Some(holding.owner.clone())));
        let is_deleted = deleted && now.is_none();
        if !(is_same || is_deleted) {
            return Ok(false);
        }
    }
    if deleted {
        return Ok(true);
    }
    // Rules or links alone: the container may have been added again meanwhile.
    if let Some(attachment) = holding.attachment()
        && holding.leases.is_empty()
        && !store.held_by(&attachment)?.is_empty()
    {
        return Ok(false);
    }
    let Some(alias) = holding.alias() else {
        return Ok(true);
    };
    let mut read: Vec<u32> = holding.links.iter().map(|link| link.index).collect();
    let mut now = links_with_alias(&alias)?;
    read.sort_unstable();
    now.sort_unstable();
    // The database does not record when it allocated an address; but an ADD creates its link
    // before, so a new link shows a new ADD.
    let may_be_new = holding.leases.iter().any(|it| it.store == StoreKind::Db);
    if may_be_new && now.is_empty() {
        let namespaces = Namespaces::read_visible()?;
        let is_new = holding.with_subject(|subject| {
            let namespace = namespaces.of(subject);
            namespace.is_some_and(|namespace| namespace.has_process)
        });
        return Ok(!is_new);
    }
    Ok(read == now || now.is_empty())
}

/// The present record of an address, and its owner; `None` if the address is free.
fn lease_now(
    holding: &Holding,
    read: &HeldLease,
    store: &mut dyn Store,
) -> Result<Option<(HeldLease, Option<Owner>)>> {
    let (dir, network) = (&holding.data_dir, &holding.network);
    Ok(match read.store {
        StoreKind::Disk => {
            let record = read_file(dir, network, read.address, BootId::read())?;
            record.map(|record| (HeldLease::of(read.store, &record), record.owner.ok()))
        }
        StoreKind::Db => store.lease(read.address)?.map(|now| {
            let lease = HeldLease {
                age: now.age,
                since: None,
                ..*read
            };
            (lease, Some(now.owner))
        }),
    })
}

/// Calls the DEL of plugins, each of which finds its part by the attachment.
fn delete_by(
    plugins: &[&dyn Plugin],
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
) -> Result<(), Error> {
    let deleted = plugins
        .iter()
        .map(|plugin| plugin.del(call, attachment, netns));
    Error::join(deleted.filter_map(Result::err)).map_or(Ok(()), Err)
}

/// The DEL of an attachment, with a configuration that names only the network: it must not call the
/// IPAM plugin, whose lock is held.
fn request(
    holding: &Holding,
    attachment: &Attachment,
    namespace: Option<&Namespace>,
    environment: &Environment,
) -> Request {
    let netns = namespace.map(|namespace| namespace.path.clone().into_os_string());
    let text = |text: &str| OsString::from(text);
    let environment = environment.with_all([
        ("CNI_COMMAND", text("DEL")),
        ("CNI_CONTAINERID", text(attachment.container_id.as_str())),
        ("CNI_IFNAME", text(attachment.ifname.as_str())),
        ("CNI_NETNS", netns.unwrap_or_default()),
    ]);
    let network = holding.network.as_str();
    // JSON has to escape no character that a network's name can have. With ipMasq, the legacy
    // tables of iptables are searched, too.
    let conf =
        format!(r#"{{"cniVersion":"1.0.0","name":"{network}","type":"flannel","ipMasq":true}}"#);
    Request {
        environment,
        stdin: conf.into_bytes(),
    }
}
