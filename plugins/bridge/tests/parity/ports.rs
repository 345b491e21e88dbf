//! The pair of links between a container and the bridge.

use serde_json::json;

use crate::support::conf::{BRIDGE, dual_stack, ipv4, ipv6};
use crate::support::lab::{Container, Lab};
use crate::support::links::Link;
use crate::support::side::both;

both!(
    both_ends_are_up,
    hairpin_mode,
    duplicate_address_detection_off,
    duplicate_address_detection_on,
    ipv6_addresses_work_where_the_runtime_has_switched_ipv6_off,
    the_neighbours_get_announcements,
    a_container_has_two_interfaces,
);

fn port(lab: &Lab, result: &serde_json::Value) -> Link {
    lab.link(result["interfaces"][1]["name"].as_str().unwrap())
}

/// When ADD is done the port forwards, and everything in the container can be used.
fn both_ends_are_up(lab: &Lab) {
    let container = Container::new("a");
    let result = lab.add(&container, &dual_stack(json!({ "isGateway": true })));
    let (port, eth0) = (port(lab, &result), container.link("eth0"));
    for link in [&port, &eth0] {
        assert_eq!(link.kind(), Some("veth"));
        assert!(link.is_up(), "{link:?}");
        assert_eq!(link.mtu(), 1500);
    }
    // The container's end reports this a moment later, which delays no frame.
    assert_eq!(port.0["operstate"], "UP");
    assert_eq!(port.master(), Some(BRIDGE));
    assert_eq!(port.port("state"), "forwarding");
    assert_eq!(port.port("hairpin"), false);
    assert_eq!(port.port("isolated"), false);
    assert_eq!(port.addresses(), [""; 0]);
    assert_eq!(eth0.addresses(), ["10.1.1.2/24", "fd00:1::2/64"]);
    assert!(!eth0.has_tentative_address(), "{eth0:?}");
    let broadcast = &eth0.0["addr_info"][0]["broadcast"];
    assert_eq!(broadcast, "10.1.1.255");
    assert_eq!(container.link_names(), ["lo", "eth0"]);
    assert_eq!(lab.links().len(), 3);
}

fn hairpin_mode(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    let on = lab.add(&a, &ipv4(json!({ "hairpinMode": true })));
    let off = lab.add(&b, &ipv4(json!({ "hairpinMode": false })));
    assert_eq!(port(lab, &on).port("hairpin"), true);
    assert_eq!(port(lab, &off).port("hairpin"), false);
}

fn duplicate_address_detection_off(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &ipv6(json!({})));
    assert_eq!(container.setting("ipv6/conf/eth0/accept_dad"), 0);
}

/// ADD waits until duplicate address detection is complete.
fn duplicate_address_detection_on(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &ipv6(json!({ "enabledad": true })));
    assert_eq!(container.setting("ipv6/conf/eth0/accept_dad"), 1);
    assert_eq!(container.setting("ipv6/conf/eth0/enhanced_dad"), 1);
    let eth0 = container.link("eth0");
    assert_eq!(eth0.addresses(), ["fd00:1::2/64"]);
    assert!(!eth0.has_tentative_address(), "{eth0:?}");
}

/// Runtimes turn IPv6 off in a container that has no IPv6 network yet.
fn ipv6_addresses_work_where_the_runtime_has_switched_ipv6_off(lab: &Lab) {
    let container = Container::new("a");
    for link in ["all", "default"] {
        container.set(&format!("ipv6/conf/{link}/disable_ipv6"), "1");
    }
    lab.add(&container, &dual_stack(json!({ "isDefaultGateway": true })));
    let eth0 = container.link("eth0");
    assert_eq!(eth0.addresses(), ["10.1.1.2/24", "fd00:1::2/64"]);
    assert_eq!(container.setting("ipv6/conf/eth0/disable_ipv6"), 0);
}

/// The neighbours may remember the MAC of the address's former owner.
fn the_neighbours_get_announcements(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &ipv4(json!({})));
    assert_eq!(container.setting("ipv4/conf/eth0/arp_notify"), 1);
}

fn a_container_has_two_interfaces(lab: &Lab) {
    let container = Container::new("a");
    let conf = ipv4(json!({ "isGateway": true }));
    lab.add(&container, &conf);
    let second = lab.call("ADD", &container, &conf).ifname("eth1");
    let result = lab.node.run(&second).success();
    assert_eq!(result["interfaces"][2]["name"], "eth1");
    assert_eq!(container.link_names(), ["lo", "eth0", "eth1"]);
    assert_eq!(container.link("eth1").addresses(), ["10.1.1.3/24"]);
    lab.del(&container, &conf);
    assert_eq!(container.link_names(), ["lo", "eth1"]);
    assert_eq!(container.link("eth1").addresses(), ["10.1.1.3/24"]);
    assert_eq!(lab.taken(), ["10.1.1.3"]);
    lab.node.run(&second.command("DEL")).silent();
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
}
