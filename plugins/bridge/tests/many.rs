//! Parallel ADDs and DELs of many containers leave the node as it was.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use support::conf::{BRIDGE, dual_stack};
use support::lab::{Container, Lab};
use support::side::ours;
use support::snapshot::{Snapshot, assert_same};
use support::traffic::assert_reaches;

const CONTAINERS: usize = 200;
const AT_A_TIME: usize = 8;

ours!(
    one_of_parallel_adds_into_one_namespace_succeeds,
    one_of_parallel_adds_into_two_namespaces_succeeds,
    two_hundred_parallel_containers_leave_nothing,
    parallel_first_adds_share_one_bridge
);

fn conf() -> Value {
    dual_stack(json!({
        "isDefaultGateway": true,
        "ipMasq": true,
        "macspoofchk": true,
        "hairpinMode": true,
    }))
}

/// Calls a function for each container, this many at a time.
fn each<T: Sync>(all: &[T], act: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(one);
                }
            });
        }
    });
}

/// The node after a first container, which leaves the bridge and forwarding.
fn settled(lab: &Lab) -> Snapshot {
    let first = Container::new("first");
    lab.add(&first, &conf());
    lab.del(&first, &conf());
    Snapshot::take(lab, &[])
}

/// A runtime that repeats an ADD after its timeout may run beside the first.
fn one_of_parallel_adds_into_one_namespace_succeeds(lab: &Lab) {
    assert_one_succeeds(lab, || vec![Container::new("twice")]);
}

/// A runtime that recreates a sandbox under the same ID has a new namespace.
fn one_of_parallel_adds_into_two_namespaces_succeeds(lab: &Lab) {
    assert_one_succeeds(lab, || {
        vec![Container::new("twice"), Container::new("twice")]
    });
}

/// Runs several ADDs of one attachment at once, into these namespaces in turn.
fn assert_one_succeeds(lab: &Lab, namespaces: impl Fn() -> Vec<Container>) {
    let before = settled(lab);
    for round in 0..8 {
        let sandboxes = namespaces();
        let calls = sandboxes.iter().cycle().take(4);
        let running: Vec<_> = calls
            .map(|sandbox| (sandbox, lab.node.start(&lab.call("ADD", sandbox, &conf()))))
            .collect();
        let ended = running.into_iter();
        let ended: Vec<_> = ended
            .map(|(sandbox, call)| (sandbox, call.wait()))
            .collect();
        let (succeeded, failed): (Vec<_>, Vec<_>) = ended
            .iter()
            .partition(|(_, outcome)| outcome.code == Some(0));
        let [(winner, outcome)] = *succeeded else {
            panic!("round {round}: {ended:?}");
        };
        for (_, outcome) in failed {
            let msg = outcome.failure().msg;
            let has_link = msg.contains("eth0");
            let has_address = msg.contains("has been allocated to twice already");
            // Another one that failed has removed its pair, whose name is the same.
            let has_lost_link = msg.ends_with("No such device");
            let is_explained = has_link || has_address || has_lost_link;
            assert!(is_explained, "round {round}: {msg}");
        }
        let result = outcome.success();
        assert_eq!(lab.taken().len(), 2, "round {round}");
        let links = lab.links();
        let ports = links.iter().filter(|link| link.master() == Some(BRIDGE));
        assert_eq!(ports.count(), 1, "round {round}");
        for sandbox in sandboxes
            .iter()
            .filter(|sandbox| !std::ptr::eq(*sandbox, *winner))
        {
            assert_eq!(sandbox.link_names(), ["lo"], "round {round}");
        }
        assert_reaches(winner, "10.1.1.1");
        assert_reaches(winner, "fd00:1::1");
        lab.check(winner, &conf(), &result).silent();
        lab.del(winner, &conf());
        assert_same(&before, &Snapshot::take(lab, &[]), "parallel ADDs");
    }
}

fn two_hundred_parallel_containers_leave_nothing(lab: &Lab) {
    let containers: Vec<Container> = (0..CONTAINERS)
        .map(|number| Container::new(&format!("c{number}")))
        .collect();
    let before = settled(lab);
    each(&containers, |container| {
        lab.add(container, &conf());
    });

    assert_eq!(lab.taken().len(), 2 * CONTAINERS);
    let links = lab.links();
    let ports = links.iter().filter(|link| link.master() == Some(BRIDGE));
    assert_eq!(ports.count(), CONTAINERS);
    let mut addresses = BTreeSet::new();
    let mut macs = BTreeSet::new();
    for container in &containers {
        let eth0 = container.link("eth0");
        assert!(eth0.is_up(), "{eth0:?}");
        addresses.extend(eth0.addresses());
        macs.insert(eth0.mac().to_owned());
        assert_eq!(container.routes().len(), 2);
    }
    assert_eq!(addresses.len(), 2 * CONTAINERS);
    assert_eq!(macs.len(), CONTAINERS);
    for container in containers.iter().step_by(40) {
        assert_reaches(container, "10.1.1.1");
        assert_reaches(container, "fd00:1::1");
    }

    each(&containers, |container| lab.del(container, &conf()));
    for container in &containers {
        assert_eq!(container.link_names(), ["lo"]);
    }
    assert_same(&before, &Snapshot::take(lab, &[]), "200 containers");
}

/// Several ADDs create the bridge at the same time, and only one succeeds in that.
fn parallel_first_adds_share_one_bridge(lab: &Lab) {
    for round in 0..5 {
        let containers: Vec<Container> = (0..AT_A_TIME)
            .map(|number| Container::new(&format!("r{round}c{number}")))
            .collect();
        each(&containers, |container| {
            lab.add(container, &conf());
        });
        let bridge = lab.link(BRIDGE);
        assert_eq!(bridge.addresses(), ["10.1.1.1/24", "fd00:1::1/64"]);
        for container in &containers {
            assert_reaches(container, "10.1.1.1");
        }
        each(&containers, |container| lab.del(container, &conf()));
        assert_eq!(lab.link(BRIDGE).mac(), bridge.mac());
        assert_eq!(lab.taken(), [""; 0]);
        lab.ip("link del cni0");
    }
}
