//! Operations that run at the same time.

use std::sync::Barrier;
use std::thread;

use netlink::Mac;

use crate::*;

const THREADS: u8 = 10;
const EACH: u8 = 20;

/// Runs a closure in ten threads at once, in one namespace.
fn at_once(netns: &NetNs, work: impl Fn(&mut Nftables, u8) + Sync) {
    let barrier = Barrier::new(usize::from(THREADS));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                let mut nftables = nftables(netns);
                barrier.wait();
                work(&mut nftables, number);
            });
        }
    });
}

#[test]
fn parallel_operations_leave_exactly_their_own_elements() {
    let Some(netns) = namespace() else { return };
    let cbr0 = network("cbr0");
    at_once(&netns, |nftables, thread| {
        for number in 0..EACH {
            let attachment = attachment(&format!("c{thread}-{number}"), "eth0");
            let held = [
                format!("10.244.{thread}.{number}/16"),
                format!("fd00:10::{thread}:{number}/64"),
            ];
            let held: Vec<_> = held.iter().map(|text| text.parse().unwrap()).collect();
            nftables.masquerade(&cbr0, &attachment, &held).unwrap();
            let mac = Mac([2, 0, 0, 0, thread, number]);
            let port = format!("veth{thread}-{number}");
            nftables
                .allow_only_mac(&cbr0, &attachment, &port, mac)
                .unwrap();
            if number % 2 == 1 {
                nftables.remove(&cbr0, &attachment).unwrap();
            }
        }
    });
    let mut expected = Vec::new();
    for thread in 0..THREADS {
        expected.extend(
            (0..EACH)
                .step_by(2)
                .map(|number| format!("10.244.{thread}.{number}")),
        );
    }
    expected.sort();
    assert_eq!(
        elements(&netns, "ip twill_masquerade from-10.244.0.0/16"),
        expected
    );
    assert_eq!(recorded(&netns, "ip twill_masquerade"), expected);
    for set in [
        "ip6 twill_masquerade owners",
        "ip6 twill_masquerade from-fd00_10__/64",
        "bridge twill_macspoofchk owners",
        "bridge twill_macspoofchk ports",
        "bridge twill_macspoofchk senders",
    ] {
        assert_eq!(elements(&netns, set).len(), expected.len(), "{set}");
    }
    // All threads started in an empty namespace, and one of them created the rules.
    let rules = ruleset(&netns);
    for (rule, count) in [
        (" masquerade\n", 4),
        (" return\n", 2),
        (" drop\n", 1),
        (" accept\n", 1),
    ] {
        assert_eq!(rules.matches(rule).count(), count, "{rule:?}: {rules}");
    }

    at_once(&netns, |nftables, _| {
        nftables.gc(&cbr0, &valid(&[])).unwrap();
    });
    assert!(!ruleset(&netns).contains("elements"));
}

#[test]
fn an_address_that_many_attachments_claim_has_one_owner() {
    let Some(netns) = namespace() else { return };
    let cbr0 = network("cbr0");
    let held = addresses(&["10.244.1.5/24"]);
    at_once(&netns, |nftables, thread| {
        for _ in 0..EACH {
            let attachment = attachment(&format!("c{thread}"), "eth0");
            nftables.masquerade(&cbr0, &attachment, &held).unwrap();
        }
        if thread % 2 == 1 {
            nftables
                .remove(&cbr0, &attachment(&format!("c{thread}"), "eth0"))
                .unwrap();
        }
    });
    let here = elements(&netns, "ip twill_masquerade from-10.244.1.0/24");
    assert_eq!(recorded(&netns, "ip twill_masquerade"), here);
    assert!(here.len() <= 1, "{here:?}");
    let mut nftables = nftables(&netns);
    for thread in 0..THREADS {
        let attachment = attachment(&format!("c{thread}"), "eth0");
        nftables.remove(&cbr0, &attachment).unwrap();
    }
    assert!(!ruleset(&netns).contains("elements"));
}

// Tables that are removed and rules that are flushed at any moment make no ADD fail, and the last
// ADD has all of its rules.
#[test]
fn additions_beside_collections_and_flushes() {
    let Some(netns) = namespace() else { return };
    let (cbr0, other) = (network("cbr0"), network("other"));
    at_once(&netns, |nftables, thread| {
        let attachment = attachment(&format!("c{thread}"), "eth0");
        let held = addresses(&[&format!("10.244.1.{thread}/24")]);
        for round in 0..EACH {
            match thread {
                0 => nftables.gc(&other, &valid(&[])).unwrap(),
                1 if round % 4 == 0 => nft(&netns, "flush ruleset"),
                _ => {
                    nftables.masquerade(&cbr0, &attachment, &held).unwrap();
                    nftables.remove(&cbr0, &attachment).unwrap();
                }
            }
        }
    });
    let mut nftables = nftables(&netns);
    let c1 = attachment("c1", "eth0");
    let held = addresses(&["10.244.1.1/24"]);
    nftables.masquerade(&cbr0, &c1, &held).unwrap();
    let rules = ruleset(&netns);
    assert_eq!(rules.matches(" masquerade\n").count(), 2, "{rules}");
    assert_eq!(recorded(&netns, "ip twill_masquerade"), ["10.244.1.1"]);
    assert_eq!(
        elements(&netns, "ip twill_masquerade from-10.244.1.0/24"),
        ["10.244.1.1"]
    );
}
