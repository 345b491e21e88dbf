//! The bridge.

use serde_json::json;

use crate::support::conf::{BRIDGE, dual_stack, ipv4, layer2};
use crate::support::lab::{Container, Lab};
use crate::support::side::both;

both!(
    the_bridge_is_created_and_stays,
    the_bridge_has_the_configured_name,
    an_existing_bridge_is_used,
    the_bridges_mac_does_not_change,
    the_bridge_has_the_configured_mtu,
    promiscuous_mode,
    router_advertisements_are_not_heard,
);

fn the_bridge_is_created_and_stays(lab: &Lab) {
    let conf = dual_stack(json!({ "isGateway": true }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf);
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.kind(), Some("bridge"));
    assert!(bridge.is_up(), "{bridge:?}");
    assert_eq!(bridge.mtu(), 1500);
    assert_eq!(bridge.addresses(), ["10.1.1.1/24", "fd00:1::1/64"]);
    assert!(!bridge.has_flag("PROMISC"));
    assert_eq!(bridge.0["linkinfo"]["info_data"]["stp_state"], 0);
    assert_eq!(bridge.0["linkinfo"]["info_data"]["vlan_filtering"], 0);

    lab.add(&b, &conf);
    lab.del(&a, &conf);
    lab.del(&b, &conf);
    let later = lab.link(BRIDGE);
    assert_eq!(later.index(), bridge.index());
    assert_eq!(later.addresses(), bridge.addresses());
    assert!(later.has_flag("UP"));
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
}

fn the_bridge_has_the_configured_name(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    let first = lab.add(&a, &layer2(json!({ "bridge": "fifteen_bytes_x" })));
    assert_eq!(first["interfaces"][0]["name"], "fifteen_bytes_x");
    let second = lab.add(&b, &layer2(json!({ "BRIDGE": "br-2.x" })));
    assert_eq!(second["interfaces"][0]["name"], "br-2.x");
    for result in [first, second] {
        let name = result["interfaces"][0]["name"].as_str().unwrap();
        let veth = result["interfaces"][1]["name"].as_str().unwrap();
        assert_eq!(lab.link(veth).master(), Some(name));
    }
    assert_eq!(lab.find_link(BRIDGE), None);
}

/// An operator's bridge keeps its addresses and settings.
fn an_existing_bridge_is_used(lab: &Lab) {
    lab.ip("link add cni0 type bridge forward_delay 400");
    lab.ip("link set cni0 address 02:00:00:00:00:07");
    lab.ip("address add fd00:7::1/64 dev cni0");
    let before = lab.link(BRIDGE);
    let container = Container::new("a");
    let result = lab.add(&container, &dual_stack(json!({ "isGateway": true })));
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.index(), before.index());
    assert_eq!(bridge.mac(), "02:00:00:00:00:07");
    assert_eq!(result["interfaces"][0]["mac"], "02:00:00:00:00:07");
    assert!(bridge.is_up());
    assert_eq!(
        bridge.addresses(),
        ["10.1.1.1/24", "fd00:1::1/64", "fd00:7::1/64"]
    );
    assert_eq!(bridge.0["linkinfo"]["info_data"]["forward_delay"], 400);
}

/// A bridge takes the lowest MAC of its ports unless it has one of its own.
fn the_bridges_mac_does_not_change(lab: &Lab) {
    let conf = |mac: &str| ipv4(json!({ "isGateway": true, "runtimeConfig": { "mac": mac } }));
    let first = Container::new("a");
    lab.add(&first, &conf("02:00:00:00:00:10"));
    let mac = lab.link(BRIDGE).mac().to_owned();
    // The node's end gets the lowest possible MAC.
    let second = Container::new("b");
    let result = lab.add(&second, &conf("02:00:00:00:00:11"));
    let veth = result["interfaces"][1]["name"].as_str().unwrap();
    lab.ip(&format!("link set {veth} address 00:00:00:00:00:01"));
    assert_eq!(lab.link(BRIDGE).mac(), mac);
    lab.del(&first, &conf("02:00:00:00:00:10"));
    assert_eq!(lab.link(BRIDGE).mac(), mac);
    lab.del(&second, &conf("02:00:00:00:00:11"));
    assert_eq!(lab.link(BRIDGE).mac(), mac);
}

fn the_bridge_has_the_configured_mtu(lab: &Lab) {
    for (name, mtu) in [("br-small", 1280), ("br-flannel", 1450), ("br-jumbo", 9000)] {
        let container = Container::new(name);
        let conf = layer2(json!({ "bridge": name, "mtu": mtu }));
        let result = lab.add(&container, &conf);
        assert_eq!(lab.link(name).mtu(), mtu);
        let veth = result["interfaces"][1]["name"].as_str().unwrap();
        assert_eq!(lab.link(veth).mtu(), mtu);
        assert_eq!(container.link("eth0").mtu(), mtu);
    }
    let container = Container::new("unset");
    lab.add(&container, &layer2(json!({ "mtu": 0 })));
    assert_eq!(container.link("eth0").mtu(), 1500);
    assert_eq!(lab.link(BRIDGE).mtu(), 1500);
}

fn promiscuous_mode(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &ipv4(json!({ "promiscMode": true })));
    assert!(lab.link(BRIDGE).has_flag("PROMISC"));
    assert!(!container.link("eth0").has_flag("PROMISC"));
}

fn router_advertisements_are_not_heard(lab: &Lab) {
    let container = Container::new("a");
    let result = lab.add(&container, &dual_stack(json!({ "isGateway": true })));
    let veth = result["interfaces"][1]["name"].as_str().unwrap();
    for link in [BRIDGE, veth] {
        let path = format!("/proc/sys/net/ipv6/conf/{link}/accept_ra");
        assert_eq!(lab.setting(&path), 0, "{path}");
    }
}
