//! The gateways' addresses on the node.
//!
//! A link has one IPv4 address, and one IPv6 address per subnet. An existing address that conflicts
//! with a gateway's is replaced only if a plugin added it for an earlier lease and no other link is
//! plugged into the bridge. An address that an operator added is never removed, unless
//! `forceAddress` is set.
//!
//! An address with [`OWN_PROTOCOL`] was added by this plugin. The Go plugin, and kernels before
//! 5.18, do not set a protocol. There, an address counts as a plugin's if it has no property that
//! only operators set, such as a label or a metric, and if `host-local` has given containers of
//! this network addresses of its subnet.

mod difference;

use std::net::IpAddr;

use cni_plugin::{Call, Log};
use container_link::wait_for_ipv6;
use ipnetwork::IpNetwork;
use netlink::{Applied, Change, Link, LinkAddress, LinkChange, LinkKind, OWN_PROTOCOL, Rtnetlink};

use self::difference::{Conflict, Difference};
use crate::changes::Changes;
use crate::config::Config;
use crate::error::BridgeError;
use crate::undo::{OnNode, put_back};
use crate::{ipv6, leases};

/// The node's link with the gateways' addresses, as it was before IPAM was called.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) link: Link,
    addresses: Vec<LinkAddress>,
    /// The addresses that `host-local` gave last before this ADD, if a conflict may need them.
    earlier: Vec<IpAddr>,
}

/// A replacement of addresses, which is the last step of an ADD because it cannot be rolled back
/// completely.
#[derive(Debug)]
#[must_use = "until it is carried out, the link lacks addresses"]
pub(crate) struct Replacement {
    link: Link,
    removed: Vec<LinkAddress>,
    added: Vec<IpNetwork>,
    /// Gateway addresses that the link already has.
    kept: Vec<LinkAddress>,
}

impl Gateway {
    /// Reads a link's addresses before IPAM is called, because IPAM's ADD changes which addresses
    /// `host-local` gave last.
    pub(crate) fn look_at(
        changes: &mut Changes<'_>,
        call: &Call<'_>,
        config: &Config,
        link: Link,
    ) -> Result<Self, BridgeError> {
        let addresses = changes.kernel.addresses(link.index, None)?;
        // Addresses are replaced only if no other link is plugged into the bridge.
        let may_replace = config.is_gateway && !config.force_address && !link.is_operational();
        let may_need = |address: &LinkAddress| address.is_plain(&link.name);
        let earlier = if may_replace && addresses.iter().any(may_need) {
            leases::read(call).last_given
        } else {
            Vec::new()
        };
        Ok(Self {
            link,
            addresses,
            earlier,
        })
    }

    /// Refuses an address for a container that this link already has.
    pub(crate) fn refuse_own(&self, given: &[IpNetwork]) -> Result<(), BridgeError> {
        let is_own = |address: &&IpNetwork| {
            let mut own = self.addresses.iter();
            own.any(|own| own.network.ip() == address.ip())
        };
        match given.iter().find(is_own) {
            None => Ok(()),
            Some(address) => Err(BridgeError::OwnAddress {
                link: self.link.name.clone(),
                address: *address,
            }),
        }
    }

    /// Adds the addresses that the link lacks. If existing addresses conflict, nothing is added,
    /// and the caller gets the [`Replacement`] to carry out.
    ///
    /// # Errors
    /// [`BridgeError::StaleAddress`] and [`BridgeError::OtherAddress`] if a conflicting address
    /// must stay, [`BridgeError::Ipv6Off`].
    pub(crate) fn provide(
        &self,
        changes: &mut Changes<'_>,
        call: &Call<'_>,
        config: &Config,
        wanted: &[IpNetwork],
        given: &[IpNetwork],
    ) -> Result<Option<Replacement>, BridgeError> {
        if Difference::new(&self.addresses, wanted).missing.is_empty() {
            return Ok(None);
        }
        // Another process may have added some in the meantime.
        let link = &self.link;
        let now = changes.kernel.addresses(link.index, None)?;
        let difference = Difference::new(&now, wanted);
        if !difference.conflicts.is_empty() && !config.force_address {
            self.judge(changes, call, &difference.conflicts, given)?;
        }
        ipv6::enable(changes, link, &difference.missing)?;
        if difference.conflicts.is_empty() {
            add(&mut *changes, link, &difference.missing)?;
            return Ok(None);
        }
        let is_wanted = |found: &LinkAddress| wanted.contains(&found.network);
        Ok(Some(Replacement {
            link: link.clone(),
            kept: now
                .iter()
                .filter(|found| is_wanted(found))
                .cloned()
                .collect(),
            removed: difference
                .conflicts
                .into_iter()
                .map(|one| one.existing)
                .collect(),
            added: difference.missing,
        }))
    }

    /// Fails unless the conflicting addresses may be replaced.
    fn judge(
        &self,
        changes: &mut Changes<'_>,
        call: &Call<'_>,
        conflicts: &[Conflict],
        given: &[IpNetwork],
    ) -> Result<(), BridgeError> {
        let link = &self.link;
        let mut earlier = self.earlier.clone();
        if conflicts
            .iter()
            .any(|one| one.existing.is_plain(&link.name))
        {
            let is_new = |address: &IpAddr| given.iter().any(|new| new.ip() == *address);
            let known = leases::read(call).held.into_iter();
            earlier.extend(known.filter(|address| !is_new(address)));
        }
        let by_plugin = |found: &LinkAddress| is_by_plugin(found, &link.name, &earlier);
        if let Some(one) = conflicts.iter().find(|one| !by_plugin(&one.existing)) {
            return Err(BridgeError::OtherAddress {
                link: link.name.clone(),
                wanted: one.wanted,
                existing: one.existing.network,
            });
        }
        if !changes.has_others()? {
            return Ok(());
        }
        // `host-local`'s records prove that a plugin added the address only as long as a container
        // of the earlier lease exists. The protocol proves it from now on.
        let unmarked = conflicts.iter().map(|one| &one.existing);
        let unmarked = unmarked.filter(|found| found.given.protocol != OWN_PROTOCOL);
        let marks: Vec<Change> = unmarked
            .map(|found| Change::note_protocol(OWN_PROTOCOL, link.index, found))
            .collect();
        if let Err(error) = changes.kernel.apply(&marks) {
            changes.log.info(format_args!("{error}"));
        }
        let error = conflicts.first().map(|one| BridgeError::StaleAddress {
            link: link.name.clone(),
            wanted: one.wanted,
            existing: one.existing.network,
        });
        error.map_or(Ok(()), Err)
    }
}

fn is_by_plugin(found: &LinkAddress, link: &str, earlier: &[IpAddr]) -> bool {
    let is_of_network = |address: &IpAddr| found.network.contains(*address);
    found.given.protocol == OWN_PROTOCOL
        || (found.is_plain(link) && earlier.iter().any(is_of_network))
}

/// Adds addresses without conflicts to a link.
fn add(changes: &mut Changes<'_>, link: &Link, missing: &[IpNetwork]) -> Result<(), BridgeError> {
    let (added, error) = try_to_add(&mut changes.kernel, link, missing, changes.log)?;
    changes.rollback.record(OnNode::RemoveGateways {
        link: link.index,
        addresses: added,
    });
    error.map_or(Ok(()), Err)
}

/// Returns the addresses that were added, and the kernel's first refusal.
fn try_to_add(
    kernel: &mut Rtnetlink,
    link: &Link,
    addresses: &[IpNetwork],
    log: &Log,
) -> Result<(Vec<IpNetwork>, Option<BridgeError>), BridgeError> {
    let mut wanted = additions(link.index, addresses);
    if matches!(link.kind, LinkKind::Bridge { .. }) {
        // Containers cache the gateway's MAC. Setting the MAC keeps the bridge from taking that of
        // another port later.
        let own_mac = LinkChange {
            mac: link.mac,
            ..LinkChange::default()
        };
        wanted.push(Change::SetLink {
            link: link.index,
            change: own_mac,
        });
    }
    let applied = kernel.apply_each(&wanted)?;
    let added = applied.iter().filter(|applied| applied.result.is_ok());
    let added = added.filter_map(|applied| match applied.change {
        Change::AddAddress { address, .. } => Some(*address),
        _ => None,
    });
    let added: Vec<IpNetwork> = added.collect();
    let error = first_error(applied);
    // Containers may use the gateway as soon as they exist.
    wait_for_ipv6(kernel, added.iter().copied(), log);
    Ok((added, error))
}

/// The addresses are added without duplicate address detection: no other host has a gateway's.
fn additions(link: u32, addresses: &[IpNetwork]) -> Vec<Change> {
    let addresses = addresses.iter();
    addresses
        .map(|address| Change::add_address_of(OWN_PROTOCOL, link, *address))
        .collect()
}

/// The changes that remove addresses from a link.
pub(crate) fn removals(link: u32, addresses: &[IpNetwork]) -> Vec<Change> {
    let addresses = addresses.iter();
    addresses
        .map(|address| Change::DeleteAddress {
            link,
            address: *address,
            peer: None,
        })
        .collect()
}

impl Replacement {
    /// Adds the new addresses before it removes the old ones, so that routes through the link
    /// always have an address there. A new IPv6 address that differs from an old one only in its
    /// prefix length can be added only after the removal. With a primary IPv4 address the kernel
    /// also removes the secondary addresses of its subnet, so all addresses are added again at the
    /// end; for those that still exist, the kernel refuses, which is ignored.
    pub(crate) fn carry_out(self, kernel: &mut Rtnetlink, log: &Log) -> Result<(), BridgeError> {
        let link = self.link.index;
        let removed: Vec<IpNetwork> = self.removed.iter().map(|old| old.network).collect();
        let is_same = |new: &IpNetwork| {
            let mut old = removed.iter();
            new.is_ipv6() && old.any(|old| old.ip() == new.ip())
        };
        let early = self.added.iter().filter(|new| !is_same(new));
        let early: Vec<IpNetwork> = early.copied().collect();
        let (added, error) = try_to_add(kernel, &self.link, &early, log)?;
        if let Some(error) = error {
            put_back(kernel, &removals(link, &added))?;
            return Err(error);
        }
        let old = self.removed.iter();
        let old = old.map(|old| Change::delete_address(link, old));
        let mut steps: Vec<Change> = old.collect();
        let kept = self.kept.iter();
        let kept = kept.map(|kept| Change::restore_address(link, kept));
        steps.extend(kept.clone());
        steps.extend(additions(link, &self.added));
        let Some(error) = first_error(kernel.apply_each(&steps)?) else {
            return Ok(());
        };
        let mut former = removals(link, &self.added);
        let old = self.removed.iter();
        former.extend(old.map(|old| Change::restore_address(link, old)));
        former.extend(kept);
        put_back(kernel, &former)?;
        Err(error)
    }
}

/// The kernel's first refusal, except where another process has just made the same change.
fn first_error(applied: Vec<Applied<'_>>) -> Option<BridgeError> {
    let mut errors = applied.into_iter().filter_map(|it| it.result.err());
    let real = errors.find(|error| !error.is_exists() && !error.is_not_found());
    real.map(BridgeError::from)
}
