use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::model;
use crate::range::tests::{ip, spec};
use crate::{Range, RangeSpec};

/// A store in memory whose `fail_at`th change fails.
#[derive(Default)]
struct MemoryStore {
    held: BTreeMap<IpAddr, Attachment>,
    last: BTreeMap<usize, IpAddr>,
    changes: usize,
    fail_at: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
struct Full;

impl MemoryStore {
    fn change(&mut self) -> Result<(), Full> {
        self.changes += 1;
        if self.fail_at == Some(self.changes) {
            return Err(Full);
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    type Error = Full;

    fn last_given(&mut self, set: usize) -> Result<Option<IpAddr>, Full> {
        Ok(self.last.get(&set).copied())
    }

    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<IpAddr>, Full> {
        let held = self.held.iter().filter(|(_, owner)| *owner == attachment);
        Ok(held.map(|(address, _)| *address).collect())
    }

    fn reserve(
        &mut self,
        address: IpAddr,
        attachment: &Attachment,
        set: usize,
    ) -> Result<bool, Full> {
        if self.held.contains_key(&address) {
            return Ok(false);
        }
        self.change()?;
        self.held.insert(address, attachment.clone());
        self.last.insert(set, address);
        Ok(true)
    }

    fn release(&mut self, address: IpAddr) -> Result<(), Full> {
        self.held.remove(&address);
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
    store: &mut MemoryStore,
    sets: &RangeSets,
    container_id: &str,
    requested: &[&str],
) -> Result<Vec<String>, String> {
    let requested: Vec<IpAddr> = requested.iter().map(|text| ip(text)).collect();
    allocate(store, sets, &attachment(container_id), &requested)
        .map(|allocations| {
            let text = |a: &Allocation| format!("{} via {}", a.address, a.gateway);
            allocations.iter().map(text).collect()
        })
        .map_err(|error| match error {
            AllocateError::Store(Full) => "full".to_owned(),
            error => error_text(error),
        })
}

fn error_text(error: AllocateError<Full>) -> String {
    match error {
        AllocateError::Set { index, reason } => {
            AllocateError::<Infallible>::Set { index, reason }.to_string()
        }
        AllocateError::Unfulfilled(addresses) => {
            AllocateError::<Infallible>::Unfulfilled(addresses).to_string()
        }
        AllocateError::Store(Full) => "full".to_owned(),
    }
}

#[test]
fn one_address_of_each_set() {
    let mut store = MemoryStore::default();
    let sets = dual_stack();
    assert_eq!(
        add(&mut store, &sets, "a", &[]).unwrap(),
        ["10.1.1.2/29 via 10.1.1.1", "fd00::2/126 via fd00::1"]
    );
    assert_eq!(
        add(&mut store, &sets, "b", &[]).unwrap(),
        ["10.1.1.3/29 via 10.1.1.1", "fd00::3/126 via fd00::1"]
    );
}

#[test]
fn all_or_nothing() {
    let mut store = MemoryStore::default();
    let sets = dual_stack();
    for id in ["a", "b"] {
        add(&mut store, &sets, id, &[]).unwrap();
    }
    let before = store.held.clone();
    assert_eq!(
        add(&mut store, &sets, "c", &[]),
        Err("failed to allocate for range 1: no IP addresses available in range set: fd00::1-fd00::3".into())
    );
    assert_eq!(store.held, before);
}

#[test]
fn whichever_change_fails_nothing_is_kept() {
    for fail_at in 1..=2 {
        let mut store = MemoryStore {
            fail_at: Some(fail_at),
            ..MemoryStore::default()
        };
        assert_eq!(add(&mut store, &dual_stack(), "a", &[]), Err("full".into()));
        assert_eq!(store.held, BTreeMap::new());
    }
}

#[test]
fn requested_addresses() {
    let mut store = MemoryStore::default();
    let sets = dual_stack();
    assert_eq!(
        add(&mut store, &sets, "a", &["fd00::3", "10.1.1.5", "10.1.1.5"]).unwrap(),
        ["10.1.1.5/29 via 10.1.1.1", "fd00::3/126 via fd00::1"]
    );
    for (requested, message) in [
        (
            &["10.1.1.5"][..],
            "failed to allocate for range 0: requested IP address 10.1.1.5 is not available in range set 10.1.1.1-10.1.1.6",
        ),
        (
            &["fd00::1"],
            "failed to allocate for range 1: requested IP address fd00::1 is the subnet's gateway",
        ),
        (
            &["10.1.1.2", "10.1.1.3", "192.0.2.1"],
            "failed to allocate all requested IPs: 10.1.1.3 192.0.2.1: each must be in a range set, and a set gives one",
        ),
        (
            &["10.1.1.7"],
            "failed to allocate all requested IPs: 10.1.1.7: each must be in a range set, and a set gives one",
        ),
    ] {
        assert_eq!(add(&mut store, &sets, "b", requested), Err(message.into()));
    }
    assert_eq!(store.held.len(), 2);
}

#[test]
fn a_second_add_is_an_error() {
    let mut store = MemoryStore::default();
    let sets = dual_stack();
    add(&mut store, &sets, "a", &[]).unwrap();
    let message = "failed to allocate for range 0: 10.1.1.2 has been allocated to a already: a second ADD needs a DEL before it";
    for requested in [&[][..], &["10.1.1.4"]] {
        assert_eq!(add(&mut store, &sets, "a", requested), Err(message.into()));
    }
    assert_eq!(store.held.len(), 2);
}

proptest::proptest! {
    #[test]
    fn the_memory_store_is_like_the_model(steps in model::steps()) {
        model::run(&mut MemoryStore::default(), &steps);
    }
}
