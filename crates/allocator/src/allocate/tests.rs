//! Tests of the allocation policy, on a store in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::ErrorKind;

use cni_types::ValidAttachments;

use super::*;
use crate::range::tests::{ip, spec};
use crate::{Lease, Range, RangeSpec};

/// What a network has given, in memory. The `fail_at`th change of it fails.
#[derive(Debug, Default)]
struct Memory {
    held: BTreeMap<IpAddr, Lease>,
    last: BTreeMap<usize, IpAddr>,
    changes: usize,
    fail_at: Option<usize>,
}

/// A transaction on it.
struct Transaction<'a> {
    memory: &'a mut Memory,
    held: BTreeMap<IpAddr, Lease>,
    last: BTreeMap<usize, IpAddr>,
}

impl Memory {
    fn begin(&mut self) -> Transaction<'_> {
        Transaction {
            held: self.held.clone(),
            last: self.last.clone(),
            memory: self,
        }
    }

    /// What a reboot makes of it.
    fn reboot(&mut self) {
        for lease in self.held.values_mut() {
            lease.age = Age::EarlierBoot;
        }
    }
}

impl Transaction<'_> {
    fn change(&mut self) -> Result<(), StoreError> {
        self.memory.changes += 1;
        if self.memory.fail_at == Some(self.memory.changes) {
            return Err(StoreError::Io {
                path: "/memory".into(),
                source: ErrorKind::StorageFull.into(),
            });
        }
        Ok(())
    }
}

impl Store for Transaction<'_> {
    fn last_given(&mut self, set: SetKey<'_>) -> Result<Option<IpAddr>, StoreError> {
        Ok(self.last.get(&set.index).copied())
    }

    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<HeldAddress>, StoreError> {
        let held = self.all()?.into_iter();
        let own = |held: &HeldAddress| self.held[&held.address].owner.is(attachment);
        Ok(held.filter(own).collect())
    }

    fn lease(&mut self, address: IpAddr) -> Result<Option<Lease>, StoreError> {
        Ok(self.held.get(&address).cloned())
    }

    fn is_free(&mut self, address: IpAddr) -> Result<bool, StoreError> {
        Ok(!self.held.contains_key(&address))
    }

    fn check_reserve(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn all(&mut self) -> Result<Vec<HeldAddress>, StoreError> {
        let held = self.held.values().map(|lease| HeldAddress {
            address: lease.address,
            age: lease.age,
        });
        Ok(held.collect())
    }

    fn held_by_invalid(&mut self, valid: &ValidAttachments) -> Result<Vec<IpAddr>, StoreError> {
        let held = self.held.values();
        let invalid = held.filter(|lease| !lease.owner.is_valid(valid));
        Ok(invalid.map(|lease| lease.address).collect())
    }

    fn reserve(
        &mut self,
        address: IpAddr,
        attachment: &Attachment,
        set: SetKey<'_>,
    ) -> Result<bool, StoreError> {
        if self.held.contains_key(&address) {
            return Ok(false);
        }
        self.change()?;
        let lease = Lease {
            address,
            owner: attachment.into(),
            age: Age::ThisBoot,
        };
        self.held.insert(address, lease);
        self.last.insert(set.index, address);
        Ok(true)
    }

    fn adopt(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        self.change()?;
        let held = self.held.entry(lease.address);
        let is_new = matches!(held, Entry::Vacant(_));
        held.or_insert_with(|| lease.clone());
        Ok(is_new)
    }

    fn all_last_given(&mut self) -> Result<BTreeMap<usize, IpAddr>, StoreError> {
        Ok(self.last.clone())
    }

    fn adopt_last_given(&mut self, index: usize, address: IpAddr) -> Result<(), StoreError> {
        self.last.insert(index, address);
        Ok(())
    }

    fn release(&mut self, address: IpAddr) -> Result<(), StoreError> {
        self.change()?;
        self.held.remove(&address);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.change()?;
        self.memory.held = self.held;
        self.memory.last = self.last;
        Ok(())
    }
}

fn attachment(container_id: &str) -> Attachment {
    Attachment {
        container_id: container_id.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}

fn sets(ranges: &[&[RangeSpec]]) -> RangeSets {
    let sets = ranges.iter().map(|specs| {
        let ranges = specs.iter().map(|spec| Range::new(*spec).unwrap());
        RangeSet::new(ranges.collect()).unwrap()
    });
    RangeSets::new(sets.collect()).unwrap()
}

fn dual_stack() -> RangeSets {
    sets(&[&[spec("10.1.1.0/29")], &[spec("fd00::/126")]])
}

fn add(
    memory: &mut Memory,
    sets: &RangeSets,
    container_id: &str,
    requested: &[&str],
) -> Result<Vec<String>, String> {
    add_with(memory, sets, container_id, requested, Reclaim::AfterReboot)
}

fn add_with(
    memory: &mut Memory,
    sets: &RangeSets,
    container_id: &str,
    requested: &[&str],
    reclaim: Reclaim,
) -> Result<Vec<String>, String> {
    let demand = Demand {
        attachment: &attachment(container_id),
        sets,
        requested: &requested.iter().map(|text| ip(text)).collect::<Vec<_>>(),
        reclaim,
    };
    let text = |a: &Allocation| format!("{} via {}", a.address, a.gateway);
    let mut store = Box::new(memory.begin());
    let given = allocate(&mut *store, &demand).map_err(|error| error.to_string())?;
    store.commit().map_err(|error| error.to_string())?;
    Ok(given.iter().map(text).collect())
}

#[test]
fn one_address_of_each_set() {
    let mut memory = Memory::default();
    let sets = dual_stack();
    assert_eq!(
        add(&mut memory, &sets, "a", &[]).unwrap(),
        ["10.1.1.2/29 via 10.1.1.1", "fd00::2/126 via fd00::1"]
    );
    assert_eq!(
        add(&mut memory, &sets, "b", &[]).unwrap(),
        ["10.1.1.3/29 via 10.1.1.1", "fd00::3/126 via fd00::1"]
    );
}

#[test]
fn a_full_set_leaves_the_others_unchanged() {
    let mut memory = Memory::default();
    let sets = dual_stack();
    for id in ["a", "b"] {
        add(&mut memory, &sets, id, &[]).unwrap();
    }
    let before = memory.held.clone();
    assert_eq!(
        add(&mut memory, &sets, "c", &[]),
        Err(
            "failed to allocate for range 1: no IP addresses available in range set: \
            fd00::1-fd00::3"
                .into()
        )
    );
    assert_eq!(memory.held, before);
}

#[test]
fn a_failing_change_gives_nothing() {
    // Two addresses and the commit.
    for fail_at in 1..=3 {
        let mut memory = Memory {
            fail_at: Some(fail_at),
            ..Memory::default()
        };
        assert_eq!(
            add(&mut memory, &dual_stack(), "a", &[]),
            Err("cannot read or write /memory: no storage space".into())
        );
        assert_eq!(memory.held, BTreeMap::new());
        assert!(add(&mut memory, &dual_stack(), "a", &[]).is_ok());
    }
}

#[test]
fn requested_addresses() {
    let mut memory = Memory::default();
    let sets = dual_stack();
    assert_eq!(
        add(
            &mut memory,
            &sets,
            "a",
            &["fd00::3", "10.1.1.5", "10.1.1.5"]
        )
        .unwrap(),
        ["10.1.1.5/29 via 10.1.1.1", "fd00::3/126 via fd00::1"]
    );
    for (requested, message) in [
        (
            &["10.1.1.5"][..],
            "failed to allocate for range 0: requested IP address 10.1.1.5 is not available in \
                range set 10.1.1.1-10.1.1.6: a eth0 holds it",
        ),
        (
            &["fd00::1"],
            "failed to allocate for range 1: requested IP address fd00::1 is the subnet's gateway",
        ),
        (
            &["10.1.1.2", "10.1.1.3", "192.0.2.1"],
            "failed to allocate all requested IPs: 10.1.1.3 192.0.2.1: each must be in a range \
                set, and a set gives one",
        ),
        (
            &["10.1.1.7"],
            "failed to allocate all requested IPs: 10.1.1.7: each must be in a range set, and a \
                set gives one",
        ),
    ] {
        assert_eq!(add(&mut memory, &sets, "b", requested), Err(message.into()));
    }
    assert_eq!(memory.held.len(), 2);
}

#[test]
fn a_second_add_is_an_error() {
    let mut memory = Memory::default();
    let sets = dual_stack();
    add(&mut memory, &sets, "a", &[]).unwrap();
    let message = "failed to allocate for range 0: 10.1.1.2 has been allocated to a already: a \
        second ADD needs a DEL before it";
    for requested in [&[][..], &["10.1.1.4"]] {
        assert_eq!(add(&mut memory, &sets, "a", requested), Err(message.into()));
    }
    assert_eq!(memory.held.len(), 2);
}

#[test]
fn addresses_from_before_a_reboot_are_given_last() {
    let mut memory = Memory::default();
    let sets = sets(&[&[spec("10.1.1.0/29")]]);
    for id in ["a", "b", "c"] {
        add(&mut memory, &sets, id, &[]).unwrap();
    }
    memory.reboot();
    let mut next = |id: &str| add(&mut memory, &sets, id, &[]).unwrap()[0].clone();
    // Free ones first, then those of the containers that are gone, in their turn.
    let given: Vec<String> = ["d", "e", "f", "g", "h"].map(&mut next).into();
    assert_eq!(
        given,
        ["5", "6", "2", "3", "4"].map(|octet| format!("10.1.1.{octet}/29 via 10.1.1.1"))
    );
    assert_eq!(
        add(&mut memory, &sets, "i", &[]),
        Err(
            "failed to allocate for range 0: no IP addresses available in range set: \
            10.1.1.1-10.1.1.6"
                .into()
        )
    );
}

#[test]
fn an_attachment_keeps_its_address_over_a_reboot() {
    let mut memory = Memory::default();
    let sets = dual_stack();
    let before = add(&mut memory, &sets, "a", &[]).unwrap();
    add(&mut memory, &sets, "b", &[]).unwrap();
    memory.reboot();
    assert_eq!(
        add_with(&mut memory, &sets, "a", &[], Reclaim::Never),
        Err(
            "failed to allocate for range 0: 10.1.1.2 has been allocated to a already: a second \
            ADD needs a DEL before it"
                .into()
        )
    );
    assert_eq!(add(&mut memory, &sets, "a", &[]).unwrap(), before);
    assert!(
        add(&mut memory, &sets, "a", &[]).is_err(),
        "within one boot"
    );
    // A request wins over what it had, which is free then.
    assert_eq!(
        add(&mut memory, &sets, "b", &["10.1.1.6"]).unwrap(),
        ["10.1.1.6/29 via 10.1.1.1", "fd00::3/126 via fd00::1"]
    );
    assert!(!memory.held.contains_key(&ip("10.1.1.3")));
}

#[test]
fn a_requested_address_from_before_a_reboot_is_given() {
    let mut memory = Memory::default();
    let sets = sets(&[&[spec("10.1.1.0/29")]]);
    add(&mut memory, &sets, "a", &["10.1.1.5"]).unwrap();
    memory.reboot();
    let taken = "failed to allocate for range 0: requested IP address 10.1.1.5 is not available \
        in range set 10.1.1.1-10.1.1.6: a eth0 holds it";
    assert_eq!(
        add_with(&mut memory, &sets, "b", &["10.1.1.5"], Reclaim::Never),
        Err(taken.into())
    );
    assert!(add(&mut memory, &sets, "b", &["10.1.1.5"]).is_ok());
    assert_eq!(
        add(&mut memory, &sets, "c", &["10.1.1.5"]),
        Err(taken.replace("a eth0", "b eth0"))
    );
}

#[test]
fn exhausted_names_the_full_set() {
    let mut memory = Memory::default();
    let sets = dual_stack();
    let full = |earlier| SetError::Exhausted {
        set: sets.iter().nth(1).unwrap().clone(),
        held: 2,
        earlier,
    };
    for id in ["a", "b"] {
        let exhausted = exhausted(&mut memory.begin(), &sets, Reclaim::AfterReboot);
        assert_eq!(exhausted.unwrap(), None);
        add(&mut memory, &sets, id, &[]).unwrap();
    }
    assert_eq!(
        exhausted(&mut memory.begin(), &sets, Reclaim::AfterReboot).unwrap(),
        Some(full(0))
    );
    memory.reboot();
    assert_eq!(
        exhausted(&mut memory.begin(), &sets, Reclaim::AfterReboot).unwrap(),
        None
    );
    assert_eq!(
        exhausted(&mut memory.begin(), &sets, Reclaim::Never).unwrap(),
        Some(full(2))
    );
}

#[test]
fn a_free_address_after_many_in_use_is_found() {
    let mut memory = Memory::default();
    let sets = sets(&[&[spec("10.1.0.0/16")]]);
    for id in 0..100 {
        add(&mut memory, &sets, &format!("c{id}"), &[]).unwrap();
    }
    memory.last.clear();
    assert_eq!(
        add(&mut memory, &sets, "a", &[]).unwrap(),
        ["10.1.0.102/16 via 10.1.0.1"]
    );
}
