//! Bridges and VLAN devices of an operator.

use std::process::Command;

use serde_json::{Value, json};
use testkit::NetNs;
use testkit::advertisement::advertise_router;
use testkit::requirements::skip_for_kernel;

use crate::ports::require_vlans;
use crate::support::conf::{BRIDGE, GATEWAY, GATEWAY6, dual_stack, ipv4, layer2, with};
use crate::support::lab::{Container, Lab};
use crate::support::outside;
use crate::support::side::ours;
use crate::support::traffic::{assert_reaches, pings};

ours!(
    an_unfiltered_bridge_with_ports_stays_unfiltered,
    an_unfiltered_bridge_without_ports_begins_to_filter,
    a_vlan_device_of_the_bridge_is_the_gateway,
    a_vlan_device_of_another_vlan_is_not,
    a_vlan_device_on_an_unfiltered_bridge,
    no_router_advertisements_in_the_vlan,
    a_gateway_that_lost_its_bridge,
);

/// As [`require_vlans`], and VLAN devices.
#[track_caller]
fn require_vlan_devices(lab: &Lab) -> bool {
    if !require_vlans(lab) {
        return false;
    }
    let run = |args: &str| {
        let mut ip = Command::new("ip");
        ip.args(args.split(' '));
        lab.node.enter(|| ip.output()).unwrap().status.success()
    };
    lab.ip("link add probe0 type bridge");
    let can = run("link add link probe0 name probe1 type vlan id 2");
    lab.ip("link del probe0");
    if !can {
        skip_for_kernel("CONFIG_VLAN_8021Q");
    }
    can
}

fn filters(lab: &Lab) -> bool {
    lab.link(BRIDGE).0["linkinfo"]["info_data"]["vlan_filtering"] == 1
}

/// A machine on a port of the bridge that sends its frames with the tag of VLAN 5.
#[track_caller]
fn tagged_machine(lab: &Lab, port: &str, address: &str) -> Container {
    let machine = Container {
        id: port.to_owned(),
        sandbox: NetNs::new().unwrap(),
    };
    let netns = machine.sandbox.path();
    lab.ip(&format!(
        "link add {port} type veth peer name wire netns {}",
        netns.display()
    ));
    lab.ip(&format!("link set {port} master cni0 up"));
    machine.ip("link set wire up");
    machine.ip("link add link wire name wire.5 type vlan id 5");
    machine.ip("link set wire.5 up");
    machine.ip(&format!("address add {address}/24 dev wire.5"));
    machine
}

fn an_unfiltered_bridge_with_ports_stays_unfiltered(lab: &Lab) {
    if !require_vlan_devices(lab) {
        return;
    }
    lab.ip("link add cni0 address 02:00:00:00:00:07 type bridge");
    lab.ip("link set cni0 up");
    let one = tagged_machine(lab, "one0", "192.0.2.1");
    let _other = tagged_machine(lab, "other0", "192.0.2.2");
    assert_reaches(&one, "192.0.2.2");
    let container = Container::new("a");
    let before = lab.link_names();
    for keys in [
        json!({ "vlan": 100 }),
        json!({ "vlanTrunk": [{ "id": 5 }] }),
    ] {
        let outcome = lab.node.run(&lab.call("ADD", &container, &layer2(keys)));
        let failure = outcome.failure();
        assert_eq!(failure.code, 2, "{failure:?}");
        let key = if failure.msg.contains("vlanTrunk") {
            "vlanTrunk"
        } else {
            "vlan 100"
        };
        let remedy = "ip link set cni0 type bridge vlan_filtering 1";
        for word in [key, remedy] {
            assert!(failure.msg.contains(word), "{failure:?}");
        }
        assert_eq!(lab.link_names(), before);
        assert_eq!(container.link_names(), ["lo"]);
        assert!(!filters(lab));
        assert_reaches(&one, "192.0.2.2");
    }
    // The remedy from the message.
    for port in ["one0", "other0"] {
        let mut add = Command::new("bridge");
        add.args(["vlan", "add", "vid", "5", "dev", port]);
        assert!(lab.node.enter(|| add.output()).unwrap().status.success());
    }
    lab.ip("link set cni0 type bridge vlan_filtering 1");
    lab.add(&container, &layer2(json!({ "vlan": 100 })));
    assert_reaches(&one, "192.0.2.2");
}

fn an_unfiltered_bridge_without_ports_begins_to_filter(lab: &Lab) {
    if !require_vlan_devices(lab) {
        return;
    }
    lab.ip("link add cni0 type bridge");
    // A VLAN device on it would be in no VLAN either.
    lab.ip("link add link cni0 name cni0.7 type vlan id 7");
    let container = Container::new("a");
    lab.add_fails(&container, &layer2(json!({ "vlan": 100 })));
    assert!(!filters(lab));
    lab.ip("link del cni0.7");
    lab.add(&container, &layer2(json!({ "vlan": 100 })));
    assert!(filters(lab));
}

fn gateway() -> Value {
    dual_stack(json!({ "vlan": 100, "isDefaultGateway": true }))
}

fn unreachable() -> Value {
    json!({ "ipam": { "routes": [{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }] } })
}

fn a_vlan_device_of_the_bridge_is_the_gateway(lab: &Lab) {
    if !require_vlan_devices(lab) {
        return;
    }
    lab.ip("link add cni0 type bridge vlan_filtering 1");
    lab.ip("link set cni0 up");
    lab.ip("link add link cni0 name cni0.100 type vlan id 100");
    let (a, b) = (Container::new("a"), Container::new("b"));
    let before = lab.link("cni0.100");
    lab.add_fails(&a, &with(gateway(), unreachable()));
    let after = lab.link("cni0.100");
    assert_eq!(after.index(), before.index());
    assert_eq!((after.addresses(), after.is_up()), (Vec::new(), false));

    for container in [&a, &b] {
        let result = lab.add(container, &gateway());
        assert_eq!(result["interfaces"][3]["name"], "cni0.100");
        lab.check(container, &gateway(), &result).silent();
        assert_reaches(container, GATEWAY);
        assert_reaches(container, GATEWAY6);
    }
    assert_reaches(&a, "10.1.1.3");
    let device = lab.link("cni0.100");
    assert_eq!(device.index(), before.index());
    assert_eq!(device.addresses(), ["10.1.1.1/24", "fd00:1::1/64"]);
    for container in [&a, &b] {
        lab.del(container, &gateway());
    }
    let left = lab.link("cni0.100");
    assert_eq!(left.index(), device.index());
    assert_eq!(left.addresses(), device.addresses());
}

fn a_vlan_device_of_another_vlan_is_not(lab: &Lab) {
    if !require_vlan_devices(lab) {
        return;
    }
    let container = Container::new("a");
    lab.ip("link add cni0 type bridge vlan_filtering 1");
    lab.ip("link add other0 type bridge");
    for device in [
        "link cni0 name cni0.100 type vlan id 200",
        "link cni0 name cni0.100 type vlan proto 802.1ad id 100",
        "link other0 name cni0.100 type vlan id 100",
        "name cni0.100 type bridge",
    ] {
        lab.ip(&format!("link add {device}"));
        let error_text = lab.add_fails(&container, &gateway());
        for word in ["cni0.100", "cni0", "VLAN 100"] {
            assert!(error_text.contains(word), "{error_text}");
        }
        lab.ip("link del cni0.100");
    }
}

/// It belongs to the VLAN that the container is put into, so it may be there when the bridge begins
/// to filter.
fn a_vlan_device_on_an_unfiltered_bridge(lab: &Lab) {
    if !require_vlan_devices(lab) {
        return;
    }
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    lab.ip("link add link cni0 name cni0.100 type vlan id 100");
    lab.ip("link set cni0.100 up");
    lab.ip("address add 10.1.1.1/24 dev cni0.100");
    let container = Container::new("a");
    let conf = ipv4(json!({ "vlan": 100, "isGateway": true }));
    lab.add(&container, &conf);
    assert!(filters(lab));
    assert_eq!(lab.link("cni0.100").addresses(), ["10.1.1.1/24"]);
    assert_reaches(&container, GATEWAY);
}

/// The node accepts advertisements of a router on its uplink, but not of a container.
fn no_router_advertisements_in_the_vlan(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let conf = ipv4(json!({ "vlan": 100, "isGateway": true }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf);
    let accept_ra = "/proc/sys/net/ipv6/conf/cni0.100/accept_ra";
    assert_eq!(lab.setting(accept_ra), 0);
    lab.node.write(accept_ra, "1");
    lab.add(&b, &conf);
    assert_eq!(lab.setting(accept_ra), 0);

    let outside = outside::connect(lab);
    advertise_router(&a.sandbox, "eth0", 1800);
    advertise_router(&outside, "wire1", 1800);
    outside::wait_for_default_routes(lab, &["wire0"]);
}

/// The pair survives the removal of its bridge, and is plugged into the next one.
fn a_gateway_that_lost_its_bridge(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &gateway());
    lab.ip("link del cni0");
    lab.add(&b, &gateway());
    assert_reaches(&b, GATEWAY);
    let c = Container::new("c");
    lab.add(&c, &dual_stack(json!({ "vlan": 200 })));
    assert!(!pings(&c, &[GATEWAY]));
}
