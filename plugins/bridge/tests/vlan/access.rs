//! `vlan`: a container in one VLAN, without tags.

use serde_json::{Value, json};

use crate::ports::{port, require_vlans, vlans};
use crate::support::conf::{BRIDGE, GATEWAY, GATEWAY6, dual_stack, layer2, of_subnets};
use crate::support::lab::{Container, Lab};
use crate::support::side::{Side, both};
use crate::support::traffic::{assert_reaches, pings};

both!(
    the_port_is_in_its_vlan_alone,
    the_port_is_not_in_vlan_1,
    no_vlan_on_a_bridge_that_filters,
    vlans_do_not_reach_each_other,
    the_gateway_has_an_interface_of_its_own,
    gateways_of_two_vlans,
    an_unfiltered_bridge_with_ports_is_refused,
    check_and_del_know_the_vlan,
);

const PVID: &str = "PVID Egress Untagged";

fn the_port_is_in_its_vlan_alone(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    for vlan in [1, 2, 100, 4094] {
        let container = Container::new(&format!("v{vlan}"));
        let result = lab.add(&container, &layer2(json!({ "vlan": vlan })));
        let all = vlans(lab, port(&result));
        assert!(all.contains(&format!("{vlan} {PVID}")), "{all:?}");
        assert_eq!(
            all.iter().filter(|vlan| vlan.contains("PVID")).count(),
            1,
            "{all:?}"
        );
    }
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.0["linkinfo"]["info_data"]["vlan_filtering"], 1);
}

/// The kernel puts every new port into VLAN 1. Go plugins before 1.3 leave it there, so that the
/// port gets VLAN 1's broadcasts.
fn the_port_is_not_in_vlan_1(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let (a, b) = (Container::new("a"), Container::new("b"));
    let result = lab.add(&a, &layer2(json!({ "vlan": 100 })));
    let own = format!("100 {PVID}");
    let default = "1 Egress Untagged".to_owned();
    let expected = lab
        .side
        .pick(vec![own.clone()], vec![default.clone(), own.clone()]);
    assert_eq!(vlans(lab, port(&result)), expected);

    let keep = layer2(json!({ "vlan": 100, "preserveDefaultVlan": true }));
    let result = lab.add(&b, &keep);
    assert_eq!(vlans(lab, port(&result)), [default, own]);
}

fn no_vlan_on_a_bridge_that_filters(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &layer2(json!({ "vlan": 100 })));
    let result = lab.add(&b, &layer2(json!({ "vlan": 0 })));
    assert_eq!(vlans(lab, port(&result)), [format!("1 {PVID}")]);
}

fn vlans_do_not_reach_each_other(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let conf = |vlan: u16| dual_stack(json!({ "vlan": vlan }));
    let names = ["a", "b", "c", "d"];
    let all = names.map(Container::new);
    for (container, vlan) in all.iter().zip([100, 100, 200, 0]) {
        lab.add(container, &conf(vlan));
    }
    let [a, b, c, d] = &all;
    assert_reaches(a, "10.1.1.3");
    assert_reaches(b, "fd00:1::2");
    for (from, to) in [
        (a, ["10.1.1.4", "fd00:1::4"]),
        (a, ["10.1.1.5", "fd00:1::5"]),
        (c, ["10.1.1.2", "fd00:1::2"]),
        (d, ["10.1.1.2", "fd00:1::2"]),
    ] {
        assert!(!pings(from, &[to[0]]), "{} to {}", from.id, to[0]);
        assert!(!pings(from, &[to[1]]), "{} to {}", from.id, to[1]);
    }
}

fn gateway(vlan: u16) -> Value {
    dual_stack(json!({ "vlan": vlan, "isDefaultGateway": true }))
}

/// The result lists that interface last, and the bridge itself has no address.
fn the_gateway_has_an_interface_of_its_own(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let (a, b) = (Container::new("a"), Container::new("b"));
    let result = lab.add(&a, &gateway(100));
    let own = lab.link("cni0.100");
    assert!(own.is_up(), "{own:?}");
    assert_eq!(own.addresses(), ["10.1.1.1/24", "fd00:1::1/64"]);
    assert_eq!(lab.link(BRIDGE).addresses(), [""; 0]);
    let interfaces = result["interfaces"].as_array().unwrap();
    assert_eq!(interfaces.len(), 4);
    assert_eq!(
        interfaces[3],
        json!({ "name": "cni0.100", "mac": own.mac() })
    );
    assert_eq!(result["ips"][0]["interface"], 2);

    assert_reaches(&a, GATEWAY);
    assert_reaches(&a, GATEWAY6);
    lab.add(&b, &gateway(100));
    assert_eq!(lab.link("cni0.100").index(), own.index());
    assert_reaches(&b, GATEWAY);
    assert_reaches(&a, "10.1.1.3");
}

fn gateways_of_two_vlans(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let conf = |subnet: &str, vlan: u16| {
        of_subnets(&[subnet], json!({ "vlan": vlan, "isDefaultGateway": true }))
    };
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf("10.1.1.0/24", 100));
    lab.add(&b, &conf("10.2.2.0/24", 200));
    assert_eq!(lab.link("cni0.100").addresses(), ["10.1.1.1/24"]);
    assert_eq!(lab.link("cni0.200").addresses(), ["10.2.2.1/24"]);
    assert_reaches(&a, "10.1.1.1");
    assert_reaches(&b, "10.2.2.1");
    // Through the node, which is a router.
    assert_reaches(&a, "10.2.2.2");
}

/// The Go plugin does not switch filtering on, and the VLANs see each other. Ours would have to
/// take tagged frames from other ports, and tells the operator how to switch filtering on.
fn an_unfiltered_bridge_with_ports_is_refused(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let (a, b, c) = (
        Container::new("a"),
        Container::new("b"),
        Container::new("c"),
    );
    let plain = of_subnets(&["10.1.1.0/24"], json!({ "isGateway": true }));
    lab.add(&a, &plain);
    let conf = |vlan: u16| of_subnets(&["10.1.1.0/24"], json!({ "vlan": vlan }));
    if lab.side == Side::Ours {
        let message = lab.add_fails(&b, &conf(100));
        let remedy = "ip link set cni0 type bridge vlan_filtering 1";
        assert!(
            message.contains("vlan 100") && message.contains(remedy),
            "{message}"
        );
        lab.ip("link set cni0 type bridge vlan_filtering 1");
    }
    lab.add(&b, &conf(100));
    lab.add(&c, &conf(200));
    let bridge = lab.link(BRIDGE);
    let filters = &bridge.0["linkinfo"]["info_data"]["vlan_filtering"];
    assert_eq!(*filters, lab.side.pick(1, 0));
    assert_eq!(pings(&b, &["10.1.1.4"]), lab.side == Side::Reference);
    assert_reaches(&a, GATEWAY);
}

fn check_and_del_know_the_vlan(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let container = Container::new("a");
    let result = lab.add(&container, &gateway(100));
    lab.check(&container, &gateway(100), &result).silent();
    lab.del(&container, &gateway(100));
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
    assert_eq!(lab.find_link(port(&result)), None);
    // The interface stays for the next container, like the bridge.
    assert_eq!(lab.link("cni0.100").addresses().len(), 2);
    lab.add(&container, &gateway(100));
    assert_reaches(&container, GATEWAY);
}
