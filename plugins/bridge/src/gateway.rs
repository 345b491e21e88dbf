//! The gateways' addresses on the node.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink::{Change, Family, Kind, Link, LinkChange};

use crate::config::Config;
use crate::error::BridgeError;
use crate::forwarding;
use crate::undo::{Changes, put_back};

/// What has to become of a link's addresses.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Those that it lacks.
    missing: Vec<IpNetwork>,
    /// Those that are in the way, each with the one that it is in the way of.
    conflicting: Vec<(IpNetwork, IpNetwork)>,
}

/// Gives a link the gateways' addresses, which it may have already, and has the node forward packets of their protocols.
///
/// Errors: [`BridgeError::OtherAddress`] if it has others that may not be replaced.
pub(crate) fn provide(
    changes: &mut Changes<'_>,
    config: &Config,
    link: &Link,
    wanted: &[IpNetwork],
) -> Result<(), BridgeError> {
    let existing = changes.kernel.addresses(link.index, None)?;
    let existing: Vec<IpNetwork> = existing.iter().map(|address| address.network).collect();
    let plan = Plan::new(&existing, wanted);
    // What is left of an earlier lease is in nobody's way when it is nobody's gateway.
    if let Some((existing, wanted)) = plan.conflicting.first()
        && !config.force_address
        && changes.has_others()?
    {
        return Err(BridgeError::OtherAddress {
            link: link.name.clone(),
            wanted: *wanted,
            existing: *existing,
        });
    }
    if !plan.missing.is_empty() {
        carry_out(changes, link, plan)?;
    }
    for family in [Family::V4, Family::V6] {
        if wanted
            .iter()
            .any(|address| Family::of(address.ip()) == family)
        {
            forwarding::enable(changes, family)?;
        }
    }
    Ok(())
}

fn carry_out(changes: &mut Changes<'_>, link: &Link, plan: Plan) -> Result<(), BridgeError> {
    let mut removed: Vec<IpNetwork> = Vec::new();
    for (address, _) in plan.conflicting {
        if !removed.contains(&address) {
            removed.push(address);
        }
    }
    let removals = removed.iter();
    let removals = removals.map(|address| Change::delete_address(link.index, *address));
    // Nobody else has a gateway's address.
    let additions = plan.missing.iter();
    let additions = additions.map(|address| Change::add_address(link.index, *address, false));
    let mut wanted: Vec<Change<'_>> = removals.chain(additions).collect();
    if matches!(link.kind, Kind::Bridge { .. }) {
        // Hosts on the link remember the gateway's MAC. It is now the bridge's own, not one of its ports'.
        let own_mac = LinkChange {
            mac: link.mac,
            ..LinkChange::default()
        };
        wanted.push(Change::change_link(link.index, &own_mac));
    }

    let refusals = changes.kernel.perform_each(&wanted)?;
    let is_done = |position: usize| !refusals.iter().any(|(refused, _)| *refused == position);
    let done = |addresses: &[IpNetwork], start: usize| -> Vec<IpNetwork> {
        let positions = addresses.iter().enumerate();
        let done = positions.filter(|(position, _)| is_done(start + position));
        done.map(|(_, address)| *address).collect()
    };
    let (added, removed) = (done(&plan.missing, removed.len()), done(&removed, 0));
    let link = link.index;
    changes.note_shared("restore the gateway's addresses", move || {
        let added = added.iter();
        let removed = removed.iter();
        let former: Vec<Change<'_>> = added
            .map(|address| Change::delete_address(link, *address))
            .chain(removed.map(|address| Change::add_address(link, *address, false)))
            .collect();
        put_back(&former)
    });
    // Another plugin may have done the same just now.
    let mut errors = refusals.into_iter().map(|(_, error)| error);
    match errors.find(|error| !error.is_exists() && !error.is_not_found()) {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

impl Plan {
    /// A link has one address of IPv4 and, of IPv6, one of each network, but for those that are wanted together.
    fn new(existing: &[IpNetwork], wanted: &[IpNetwork]) -> Self {
        let mut plan = Self::default();
        for address in wanted {
            if existing.contains(address) || plan.missing.contains(address) {
                continue;
            }
            plan.missing.push(*address);
            let others = existing.iter().filter(|other| !wanted.contains(other));
            let in_the_way = others.filter(|other| is_in_the_way(**other, *address));
            plan.conflicting
                .extend(in_the_way.map(|other| (*other, *address)));
        }
        plan
    }
}

fn is_in_the_way(existing: IpNetwork, wanted: IpNetwork) -> bool {
    match (existing.ip(), wanted.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        (IpAddr::V6(_), IpAddr::V6(_)) => {
            existing.contains(wanted.ip()) || wanted.contains(existing.ip())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[track_caller]
    fn assert_plan(existing: &[&str], wanted: &[&str], missing: &[&str], conflicting: &[&str]) {
        let plan = Plan::new(&networks(existing), &networks(wanted));
        assert_eq!(plan.missing, networks(missing));
        let found: Vec<IpNetwork> = plan.conflicting.iter().map(|(other, _)| *other).collect();
        assert_eq!(found, networks(conflicting));
    }

    #[test]
    fn what_is_there_stays() {
        let both = ["10.1.1.1/24", "fd00:1::1/64"];
        assert_plan(&[], &both, &both, &[]);
        assert_plan(&both, &both, &[], &[]);
        assert_plan(&["10.1.1.1/24"], &both, &["fd00:1::1/64"], &[]);
        assert_plan(&["192.0.2.1/24", "10.1.1.1/24"], &["10.1.1.1/24"], &[], &[]);
        assert_plan(&["fe80::1/64", "fd00:7::1/64"], &both, &both, &[]);
    }

    #[test]
    fn another_address_is_in_the_way() {
        let other = ["10.1.1.1/24"];
        assert_plan(&other, &["10.1.1.1/16"], &["10.1.1.1/16"], &other);
        assert_plan(&other, &["10.2.2.1/24"], &["10.2.2.1/24"], &other);
        let other = ["fd00:1::1/64"];
        assert_plan(&other, &["fd00:1::1/80"], &["fd00:1::1/80"], &other);
        assert_plan(&other, &["fd00:1:0:1::1/48"], &["fd00:1:0:1::1/48"], &other);
        assert_plan(&other, &["fd00:2::1/64"], &["fd00:2::1/64"], &[]);
    }

    #[test]
    fn what_is_wanted_together_is_not() {
        let both = ["10.1.1.1/24", "10.2.2.1/24"];
        assert_plan(&[], &both, &both, &[]);
        assert_plan(&["10.1.1.1/24"], &both, &["10.2.2.1/24"], &[]);
    }
}
