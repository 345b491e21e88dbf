//! The difference between the addresses that a link has and those that it should have. Pure.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink::LinkAddress;

/// The difference between the addresses that a link has and those that it should have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The addresses that the link lacks.
    pub(super) missing: Vec<IpNetwork>,
    /// The existing addresses that exclude a missing one, each once.
    pub(super) conflicts: Vec<Conflict>,
}

/// An existing address, and the missing one that it excludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) existing: LinkAddress,
    pub(super) wanted: IpNetwork,
}

impl Difference {
    /// A link has one IPv4 address, and one IPv6 address per network; addresses that are wanted
    /// together do not exclude each other.
    pub(super) fn new(existing: &[LinkAddress], wanted: &[IpNetwork]) -> Self {
        let mut difference = Self::default();
        for address in wanted {
            let is_there = existing.iter().any(|found| found.network == *address);
            if is_there || difference.missing.contains(address) {
                continue;
            }
            difference.missing.push(*address);
            let others = existing
                .iter()
                .filter(|other| !wanted.contains(&other.network));
            let in_the_way = others.filter(|other| is_in_the_way(other.network, *address));
            for other in in_the_way {
                let is_known = |known: &Conflict| known.existing.network == other.network;
                if !difference.conflicts.iter().any(is_known) {
                    difference.conflicts.push(Conflict {
                        existing: other.clone(),
                        wanted: *address,
                    });
                }
            }
        }
        difference
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
    use netlink::Given;

    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[track_caller]
    fn assert_difference(
        existing: &[&str],
        wanted: &[&str],
        missing: &[&str],
        conflicting: &[&str],
    ) {
        let existing = networks(existing).into_iter();
        let existing: Vec<LinkAddress> = existing
            .map(|network| LinkAddress {
                network,
                given: Given::plain(network),
                is_tentative: false,
                is_duplicate: false,
            })
            .collect();
        let difference = Difference::new(&existing, &networks(wanted));
        assert_eq!(difference.missing, networks(missing));
        let found = difference.conflicts.iter();
        let found: Vec<IpNetwork> = found.map(|other| other.existing.network).collect();
        assert_eq!(found, networks(conflicting));
    }

    #[test]
    fn existing_gateway_addresses_stay() {
        let both = ["10.1.1.1/24", "fd00:1::1/64"];
        assert_difference(&[], &both, &both, &[]);
        assert_difference(&both, &both, &[], &[]);
        assert_difference(&["10.1.1.1/24"], &both, &["fd00:1::1/64"], &[]);
        assert_difference(&["192.0.2.1/24", "10.1.1.1/24"], &["10.1.1.1/24"], &[], &[]);
        assert_difference(&["fe80::1/64", "fd00:7::1/64"], &both, &both, &[]);
    }

    #[test]
    fn another_address_conflicts() {
        let other = ["10.1.1.1/24"];
        assert_difference(&other, &["10.1.1.1/16"], &["10.1.1.1/16"], &other);
        assert_difference(&other, &["10.2.2.1/24"], &["10.2.2.1/24"], &other);
        let other = ["fd00:1::1/64"];
        assert_difference(&other, &["fd00:1::1/80"], &["fd00:1::1/80"], &other);
        assert_difference(&other, &["fd00:1:0:1::1/48"], &["fd00:1:0:1::1/48"], &other);
        assert_difference(&other, &["fd00:2::1/64"], &["fd00:2::1/64"], &[]);
    }

    #[test]
    fn wanted_addresses_do_not_conflict_with_each_other() {
        let both = ["10.1.1.1/24", "10.2.2.1/24"];
        assert_difference(&[], &both, &both, &[]);
        assert_difference(&["10.1.1.1/24"], &both, &["10.2.2.1/24"], &[]);
        assert_difference(&["10.3.3.1/24"], &both, &both, &["10.3.3.1/24"]);
    }
}
