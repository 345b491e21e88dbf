//! A reference model for tests: a map of the allocated addresses, with which any store is compared.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni_types::Attachment;
use proptest::prelude::*;

use crate::range::tests::{ip, spec};
use crate::{
    Age, AllocateError, Allocation, Demand, Range, RangeSet, RangeSets, RangeSpec, Reclaim,
    SetError, Store, allocate, exhausted,
};

/// A transaction on the store.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// ADD of a container, with the last octet of a requested address.
    Add(u8, Option<u8>),
    /// DEL of a container.
    Del(u8),
}

pub(crate) fn actions() -> impl Strategy<Value = Vec<Action>> {
    let add = (0u8..12, prop::option::weighted(0.3, 0u8..16));
    let action = prop_oneof![
        3 => add.prop_map(|(container, requested)| Action::Add(container, requested)),
        2 => (0u8..12).prop_map(Action::Del),
    ];
    prop::collection::vec(action, 0..40)
}

/// Six addresses to give: 10.0.0.2 to 10.0.0.6 without the gateway 10.0.0.4, 10.0.0.9 and
/// 10.0.0.10.
fn sets() -> RangeSets {
    let first = RangeSpec {
        start: Some(ip("10.0.0.2")),
        gateway: Some(ip("10.0.0.4")),
        ..spec("10.0.0.0/29")
    };
    let second = RangeSpec {
        start: Some(ip("10.0.0.9")),
        end: Some(ip("10.0.0.11")),
        gateway: Some(ip("10.0.0.11")),
        ..spec("10.0.0.8/29")
    };
    let ranges = [first, second].map(|spec| Range::new(spec).unwrap());
    RangeSets::new(vec![RangeSet::new(ranges.to_vec()).unwrap()]).unwrap()
}

/// The last octets of the allocatable addresses, in allocation order.
const GIVABLE: [u8; 6] = [2, 3, 5, 6, 9, 10];
const GATEWAYS: [u8; 2] = [4, 11];

fn octet(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(_) => panic!("{address} is of no range"),
    }
}

/// Performs the actions, each in a transaction of its own, and compares each outcome with the
/// model's.
pub(crate) fn run<S: Store>(mut begin: impl FnMut() -> Box<S>, actions: &[Action]) {
    let sets = sets();
    let mut held: BTreeMap<u8, u8> = BTreeMap::new();
    let mut last: Option<u8> = None;
    for action in actions {
        match *action {
            Action::Add(container, requested) => {
                let expected = expected(&held, last, container, requested);
                let requested: Vec<IpAddr> = requested.map(address).into_iter().collect();
                let demand = Demand {
                    attachment: &attachment(container),
                    sets: &sets,
                    requested: &requested,
                    reclaim: Reclaim::AfterReboot,
                };
                let mut store = begin();
                let outcome = outcome(allocate(&mut *store, &demand));
                if outcome.is_ok() {
                    store.commit().unwrap();
                } else {
                    drop(store);
                }
                assert_eq!(outcome, expected, "{action:?} after {held:?}");
                if let Ok(octet) = outcome {
                    held.insert(container, octet);
                    last = Some(octet);
                }
            }
            Action::Del(container) => {
                let mut store = begin();
                for held in store.held_by(&attachment(container)).unwrap() {
                    store.release(held.address).unwrap();
                }
                store.commit().unwrap();
                held.remove(&container);
            }
        }
        compare(&mut *begin(), &held);
        let free = GIVABLE.len() > held.len();
        let exhausted = exhausted(&mut *begin(), &sets, Reclaim::AfterReboot).unwrap();
        let held = exhausted.map(|reason| match reason {
            SetError::Exhausted { held, earlier, .. } => (held, earlier),
            other => panic!("{other}"),
        });
        assert_eq!(held, (!free).then_some((GIVABLE.len(), 0)));
    }
}

fn expected(
    held: &BTreeMap<u8, u8>,
    last: Option<u8>,
    container: u8,
    requested: Option<u8>,
) -> Result<u8, &'static str> {
    let start = last.map_or(0, |last| {
        GIVABLE.iter().position(|octet| *octet == last).unwrap() + 1
    });
    let mut round_robin = (0..GIVABLE.len()).map(|i| GIVABLE[(start + i) % GIVABLE.len()]);
    let taken = |octet: &u8| held.values().any(|held| held == octet);
    match requested {
        Some(octet) if !GIVABLE.contains(&octet) && !GATEWAYS.contains(&octet) => Err("outside"),
        _ if held.contains_key(&container) => Err("duplicate"),
        Some(octet) if GATEWAYS.contains(&octet) => Err("gateway"),
        Some(octet) if taken(&octet) => Err("taken"),
        Some(octet) => Ok(octet),
        None => round_robin.find(|octet| !taken(octet)).ok_or("exhausted"),
    }
}

fn outcome(result: Result<Vec<Allocation>, AllocateError>) -> Result<u8, &'static str> {
    match result {
        Ok(given) => {
            assert_eq!(given.len(), 1);
            Ok(octet(given[0].address.ip()))
        }
        Err(AllocateError::Unfulfilled(_)) => Err("outside"),
        Err(AllocateError::Set { reason, .. }) => Err(match reason {
            SetError::Exhausted { .. } => "exhausted",
            SetError::Duplicate { .. } => "duplicate",
            SetError::Gateway(_) => "gateway",
            SetError::Excluded(_) => "excluded",
            SetError::Taken { .. } => "taken",
        }),
        Err(AllocateError::Store(error)) => panic!("{error:?}"),
    }
}

fn compare(store: &mut dyn Store, held: &BTreeMap<u8, u8>) {
    for container in 0..12 {
        let found = store.held_by(&attachment(container)).unwrap();
        let found: Vec<u8> = found.into_iter().map(|held| octet(held.address)).collect();
        let expected: Vec<u8> = held.get(&container).copied().into_iter().collect();
        assert_eq!(found, expected, "container {container}");
    }
    for (container, octet) in held {
        let lease = store.lease(address(*octet)).unwrap().unwrap();
        assert!(lease.owner.is(&attachment(*container)));
        assert_eq!(lease.age, Age::ThisBoot);
    }
    let all = store.all().unwrap();
    let mut expected: Vec<u8> = held.values().copied().collect();
    expected.sort_unstable();
    let mut all: Vec<u8> = all.into_iter().map(|held| octet(held.address)).collect();
    all.sort_unstable();
    assert_eq!(all, expected);
}

fn address(octet: u8) -> IpAddr {
    ip(&format!("10.0.0.{octet}"))
}

fn attachment(container: u8) -> Attachment {
    Attachment {
        container_id: format!("c{container}").parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}
