//! Packets between containers, to the node, and from a container to itself.

use serde_json::{Value, json};

use crate::support::conf::{GATEWAY, GATEWAY6, dual_stack, ipv4, ipv6};
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, OUTSIDE, OUTSIDE6};
use crate::support::side::both;
use crate::support::traffic::{assert_answered, assert_reaches, pings, send_to_self_by_wire};

both!(
    only_ipv4,
    only_ipv6,
    both_families,
    jumbo_frames,
    hairpin,
    through_the_node,
);

/// Two containers reach each other and the node, also after one of them was replaced.
#[track_caller]
fn meet(lab: &Lab, conf: &Value, hosts: &[&str], gateways: &[&str]) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, conf);
    lab.add(&b, conf);
    let (first, others) = hosts.split_at(gateways.len());
    let (second, third) = others.split_at(gateways.len());
    for to in gateways {
        assert_reaches(&a, to);
        assert_reaches(&b, to);
    }
    first.iter().for_each(|to| assert_reaches(&b, to));
    second.iter().for_each(|to| assert_reaches(&a, to));
    lab.del(&b, conf);
    let c = Container::new("c");
    lab.add(&c, conf);
    third.iter().for_each(|to| assert_reaches(&a, to));
    first.iter().for_each(|to| assert_reaches(&c, to));
    assert!(second.iter().all(|to| !pings(&a, &[to])));
}

fn only_ipv4(lab: &Lab) {
    let hosts = ["10.1.1.2", "10.1.1.3", "10.1.1.4"];
    meet(lab, &ipv4(json!({ "isGateway": true })), &hosts, &[GATEWAY]);
}

fn only_ipv6(lab: &Lab) {
    let hosts = ["fd00:1::2", "fd00:1::3", "fd00:1::4"];
    meet(
        lab,
        &ipv6(json!({ "isGateway": true })),
        &hosts,
        &[GATEWAY6],
    );
}

fn both_families(lab: &Lab) {
    let hosts = [
        "10.1.1.2",
        "fd00:1::2",
        "10.1.1.3",
        "fd00:1::3",
        "10.1.1.4",
        "fd00:1::4",
    ];
    let conf = dual_stack(json!({ "isDefaultGateway": true, "hairpinMode": true }));
    meet(lab, &conf, &hosts, &[GATEWAY, GATEWAY6]);
}

fn jumbo_frames(lab: &Lab) {
    let conf = ipv4(json!({ "isGateway": true, "mtu": 9000 }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf);
    lab.add(&b, &conf);
    assert_reaches(&a, "10.1.1.3");
    let whole = ["-Mdo", "-s8972", "10.1.1.3"];
    assert_answered(&a, &whole);
    assert!(!pings(&a, &["-Mdo", "-s8973", "10.1.1.3"]));
    assert_answered(&a, &["-Mdo", "-s8972", GATEWAY]);
}

/// The node forwards, since it is a gateway; the other machine must know the way back.
fn through_the_node(lab: &Lab) {
    let outside = outside::connect(lab);
    let container = Container::new("a");
    lab.add(&container, &dual_stack(json!({ "isDefaultGateway": true })));
    for route in [
        "10.1.1.0/24 via 198.51.100.1",
        "fd00:1::/64 via 2001:db8:51::1",
    ] {
        outside.ip(&format!("route add {route}"));
    }
    assert_reaches(&container, OUTSIDE);
    assert_reaches(&container, OUTSIDE6);
}

/// A container reaches a second address of its own through the bridge and back through the same
/// port, as it does when the node translates a service's address to it.
fn hairpin(lab: &Lab) {
    let ping = ["-I", "10.1.1.2", "10.1.1.99"];
    let a = Container::new("a");
    let conf = ipv4(json!({ "hairpinMode": true }));
    lab.add(&a, &conf);
    send_to_self_by_wire(&a, "10.1.1.2", "10.1.1.99");
    assert_answered(&a, &ping);
    lab.del(&a, &conf);

    // Proof that the packets leave the container.
    let b = Container::new("b");
    lab.add(&b, &ipv4(json!({ "hairpinMode": false })));
    send_to_self_by_wire(&b, "10.1.1.3", "10.1.1.99");
    assert!(!pings(&b, &["-I", "10.1.1.3", "10.1.1.99"]));
}
