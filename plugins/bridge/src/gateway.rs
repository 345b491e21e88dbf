//! The gateways' addresses on the node.
//!
//! An address that is in the way is replaced only where that harms nobody: nothing else is plugged
//! in, and a plugin gave it, for an earlier lease. What an operator gave is not for plugins to
//! remove, unless `forceAddress` says so.
//!
//! A plugin gave it if it bears [`PROTOCOL`]. The Go plugin and kernels before 5.18 leave no such
//! mark: there it counts as given by a plugin if it has nothing that plugins do not give, such as a
//! label or a metric, and host-local's notes show that containers of this network have had
//! addresses of its network.

mod difference;

use std::net::IpAddr;

use cni_plugin::{Call, Log};
use container_link::wait_for_ipv6;
use ipnetwork::IpNetwork;
use netlink::{Applied, Change, Link, LinkAddress, LinkChange, LinkKind, Rtnetlink};

use self::difference::{Conflict, Difference};
use crate::changes::Changes;
use crate::config::Config;
use crate::error::BridgeError;
use crate::undo::{OnNode, put_back};
use crate::{ipv6, leases};

/// The mark of addresses that this plugin gives (`IFA_PROTO`). The kernel has names for 1 to 3.
const PROTOCOL: u8 = 84;

/// A link of the node that containers are attached to, or their gateway, before IPAM is asked.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) link: Link,
    addresses: Vec<LinkAddress>,
    /// What IPAM gave last before this ADD, where it may be needed.
    earlier: Vec<IpAddr>,
}

/// What is to be done, once everything else that an ADD does has succeeded: there is no full way
/// back from it.
#[derive(Debug)]
#[must_use = "until it is carried out, the link lacks addresses"]
pub(crate) struct Replacement {
    link: Link,
    removed: Vec<LinkAddress>,
    added: Vec<IpNetwork>,
    /// Those that the link has already, as it should.
    kept: Vec<LinkAddress>,
}

impl Gateway {
    /// Looks at a link before IPAM is asked, whose answer changes what host-local has noted.
    pub(crate) fn look_at(
        changes: &mut Changes<'_>,
        call: &Call<'_>,
        config: &Config,
        link: Link,
    ) -> Result<Self, BridgeError> {
        let addresses = changes.kernel.addresses(link.index, None)?;
        // Only where nothing is plugged in can anything be replaced.
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

    /// Refuses addresses for a container that the node has on this link.
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

    /// Gives the link the addresses that it lacks; those that another one is in the way of are left
    /// to the [`Replacement`].
    ///
    /// # Errors
    /// [`BridgeError::StaleAddress`] and [`BridgeError::OtherAddress`] if something in the
    /// way must stay, [`BridgeError::Ipv6Off`].
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
        // Another plugin may have given it some meanwhile.
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

    /// Whether what is in the way may be replaced.
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
        // When the last container of that lease is gone, host-local's notes do not show any more
        // where it came from.
        let unmarked = conflicts.iter().map(|one| &one.existing);
        let unmarked = unmarked.filter(|found| found.given.protocol != PROTOCOL);
        let marks: Vec<Change> = unmarked
            .map(|found| Change::note_protocol(PROTOCOL, link.index, found))
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
    found.given.protocol == PROTOCOL || (found.is_plain(link) && earlier.iter().any(is_of_network))
}

/// Gives a link addresses that nothing is in the way of.
fn add(changes: &mut Changes<'_>, link: &Link, missing: &[IpNetwork]) -> Result<(), BridgeError> {
    let (added, error) = try_to_add(&mut changes.kernel, link, missing, changes.log)?;
    changes.rollback.record(OnNode::RemoveGateways {
        link: link.index,
        addresses: added,
    });
    error.map_or(Ok(()), Err)
}

/// Returns the addresses that the link did not have, and what the kernel refused.
fn try_to_add(
    kernel: &mut Rtnetlink,
    link: &Link,
    addresses: &[IpNetwork],
    log: &Log,
) -> Result<(Vec<IpNetwork>, Option<BridgeError>), BridgeError> {
    let mut wanted = additions(link.index, addresses);
    if matches!(link.kind, LinkKind::Bridge { .. }) {
        // Hosts on the link remember the gateway's MAC. It is now the bridge's own, not one of its
        // ports'.
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

/// Nobody else has a gateway's address, so nobody is asked for it.
fn additions(link: u32, addresses: &[IpNetwork]) -> Vec<Change> {
    let addresses = addresses.iter();
    addresses
        .map(|address| Change::add_address_of(PROTOCOL, link, *address))
        .collect()
}

/// The changes that take addresses from a link.
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
    /// Adds before it removes, so that routes through the link always have an address there. But
    /// IPv6 knows an address once, whatever its prefix length is. And with an IPv4 address the
    /// kernel removes the later ones of the same network, its secondaries, so all are added once
    /// more; where they are still there, nothing comes of it.
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

/// What the kernel refused, unless another plugin has just done the same.
fn first_error(applied: Vec<Applied<'_>>) -> Option<BridgeError> {
    let mut errors = applied.into_iter().filter_map(|it| it.result.err());
    let real = errors.find(|error| !error.is_exists() && !error.is_not_found());
    real.map(BridgeError::from)
}
