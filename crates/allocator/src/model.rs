//! A model of what a network has given, a map, and a comparison of any store with it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use cni_types::Attachment;
use proptest::prelude::*;

use crate::range::tests::{ip, spec};
use crate::{AllocateError, Range, RangeSet, RangeSets, RangeSpec, SetError, Store, allocate};

/// What to do with the store.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// ADD of a container, with the last octet of a requested address.
    Add(u8, Option<u8>),
    /// DEL of a container.
    Del(u8),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let add = (0u8..12, prop::option::weighted(0.3, 0u8..16));
    let step = prop_oneof![
        3 => add.prop_map(|(container, requested)| Step::Add(container, requested)),
        2 => (0u8..12).prop_map(Step::Del),
    ];
    prop::collection::vec(step, 0..40)
}

/// Seven addresses to give: 10.0.0.2 to 10.0.0.6 and 10.0.0.9 to 10.0.0.10. The first range's gateway is 10.0.0.4.
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

/// In the order in which they come up.
const GIVABLE: [u8; 6] = [2, 3, 5, 6, 9, 10];
const GATEWAYS: [u8; 2] = [4, 11];

fn octet(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(_) => panic!("{address} is of no range"),
    }
}

/// Does the steps and compares each outcome with the model's.
pub(crate) fn run<S: Store>(store: &mut S, steps: &[Step])
where
    S::Error: Debug,
{
    let sets = sets();
    let mut held: BTreeMap<u8, u8> = BTreeMap::new();
    let mut last: Option<u8> = None;
    for step in steps {
        match *step {
            Step::Add(container, requested) => {
                let start = last.map_or(0, |last| {
                    GIVABLE.iter().position(|octet| *octet == last).unwrap() + 1
                });
                let round_robin = (0..GIVABLE.len()).map(|i| GIVABLE[(start + i) % GIVABLE.len()]);
                let taken = |octet: &u8| held.values().any(|held| held == octet);
                let expected = match requested {
                    Some(octet) if !GIVABLE.contains(&octet) && !GATEWAYS.contains(&octet) => {
                        Err("outside")
                    }
                    _ if held.contains_key(&container) => Err("duplicate"),
                    Some(octet) if GATEWAYS.contains(&octet) => Err("gateway"),
                    Some(octet) if taken(&octet) => Err("taken"),
                    Some(octet) => Ok(octet),
                    None => round_robin
                        .into_iter()
                        .find(|octet| !taken(octet))
                        .ok_or("exhausted"),
                };
                let requested: Vec<IpAddr> = requested
                    .map(|octet| ip(&format!("10.0.0.{octet}")))
                    .into_iter()
                    .collect();
                let outcome = match allocate(store, &sets, &attachment(container), &requested) {
                    Ok(given) => {
                        assert_eq!(given.len(), 1);
                        Ok(octet(given[0].address.ip()))
                    }
                    Err(AllocateError::Unfulfilled(_)) => Err("outside"),
                    Err(AllocateError::Set { reason, .. }) => Err(match reason {
                        SetError::Exhausted(_) => "exhausted",
                        SetError::Duplicate { .. } => "duplicate",
                        SetError::Gateway(_) => "gateway",
                        SetError::Taken { .. } => "taken",
                    }),
                    Err(AllocateError::Store(error)) => panic!("{error:?}"),
                };
                assert_eq!(outcome, expected, "{step:?} after {held:?}");
                if let Ok(octet) = outcome {
                    held.insert(container, octet);
                    last = Some(octet);
                }
            }
            Step::Del(container) => {
                for address in store.held_by(&attachment(container)).unwrap() {
                    store.release(address).unwrap();
                }
                held.remove(&container);
            }
        }
        for container in 0..12 {
            let found = store.held_by(&attachment(container)).unwrap();
            let found: Vec<u8> = found.into_iter().map(octet).collect();
            let expected: Vec<u8> = held.get(&container).copied().into_iter().collect();
            assert_eq!(found, expected, "container {container} after {step:?}");
        }
    }
}

fn attachment(container: u8) -> Attachment {
    Attachment {
        container_id: format!("c{container}").parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}
