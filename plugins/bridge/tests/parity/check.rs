//! CHECK of intact and of damaged attachments.

use serde_json::{Value, json};
use testkit::expectations::{
    check_asks_ipam, check_finds, check_finds_lie, check_follows_attachments,
};

use crate::support::conf::{BRIDGE, dual_stack, ipv4, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::both;

both!(
    check_accepts_an_intact_attachment,
    check_fails_without_an_add,
    check_requires_prev_result,
    older_versions_have_no_check,
    check_calls_ipam,
    promiscuous_mode_is_off,
    additions_of_others_are_no_damage,
);

/// Every route has a next hop, because Debian's plugin looks for a route without one literally,
/// although its ADD adds one.
fn conf() -> Value {
    dual_stack(json!({
        "isDefaultGateway": true,
        "ipam": { "routes": [{ "dst": "10.9.0.0/16", "gw": "10.1.1.77" }] },
    }))
}

/// An attached container and the result of its ADD.
#[track_caller]
fn attached(lab: &Lab) -> (Container, Value) {
    let container = Container::new("a");
    let result = lab.add(&container, &conf());
    (container, result)
}

fn check_accepts_an_intact_attachment(lab: &Lab) {
    check_follows_attachments(lab, &conf(), Container::new);
}

fn check_fails_without_an_add(lab: &Lab) {
    let (_attached, result) = attached(lab);
    let other = Container::new("b");
    lab.check(&other, &conf(), &result).failure();
}

fn check_requires_prev_result(lab: &Lab) {
    let (container, _) = attached(lab);
    let call = lab.call("CHECK", &container, &conf());
    lab.node.run(&call).failure();
}

fn older_versions_have_no_check(lab: &Lab) {
    for version in ["0.1.0", "0.3.1"] {
        let conf = with(conf(), json!({ "cniVersion": version }));
        let container = Container::new(version);
        let result = lab.add(&container, &conf);
        let failure = lab.check(&container, &conf, &result).failure();
        let message = format!("{} {}", failure.msg, failure.details);
        assert!(
            message.contains("config version does not allow CHECK"),
            "{message}"
        );
        assert_eq!(failure.code, 1);
        lab.del(&container, &conf);
    }
}

fn check_calls_ipam(lab: &Lab) {
    let (container, result) = attached(lab);
    let addresses = ["10.1.1.2", "fd00:1::2"];
    check_asks_ipam(lab, &container, &conf(), &result, &addresses);
}

fn promiscuous_mode_is_off(lab: &Lab) {
    let conf = ipv4(json!({ "promiscMode": true }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    lab.check(&container, &conf, &result).silent();
    lab.ip("link set cni0 promisc off");
    lab.check(&container, &conf, &result).failure();
}

fn additions_of_others_are_no_damage(lab: &Lab) {
    let (container, result) = attached(lab);
    container.ip("address add 192.0.2.7/24 dev eth0");
    container.ip("route add 192.168.0.0/16 via 10.1.1.1");
    container.ip("link add other type veth peer name another");
    lab.ip("address add 192.0.2.9/24 dev cni0");
    lab.check(&container, &conf(), &result).silent();
}

/// Damage that both plugins detect.
#[track_caller]
fn damage(lab: &Lab, break_it: fn(&Lab, &Container, &Value)) {
    let (container, result) = attached(lab);
    check_finds(lab, &container, &conf(), &result, || {
        break_it(lab, &container, &result);
    });
}

#[track_caller]
fn lie(lab: &Lab, change: fn(&mut Value)) {
    let (container, result) = attached(lab);
    check_finds_lie(lab, &container, &conf(), result, change);
}

pub(super) fn port(result: &Value) -> &str {
    result["interfaces"][1]["name"].as_str().unwrap()
}

macro_rules! kinds {
    ($of:ident: $($test:ident: $change:expr;)*) => {
        both! { $($test: |lab| $of(lab, $change);)* }
    };
}

kinds! { damage:
    address_deleted: |_, container, _| container.ip("address del 10.1.1.2/24 dev eth0");
    address6_deleted: |_, container, _| container.ip("address del fd00:1::2/64 dev eth0");
    address_of_another_length: |_, container, _| {
        container.ip("address del 10.1.1.2/24 dev eth0");
        container.ip("address add 10.1.1.2/16 dev eth0");
    };
    link_down: |_, container, _| container.ip("link set eth0 down");
    link_deleted: |_, container, _| container.ip("link del eth0");
    link_replaced: |_, container, _| {
        container.ip("link del eth0");
        container.ip("link add eth0 type bridge");
        container.ip("link set eth0 up");
        container.ip("address add 10.1.1.2/24 dev eth0");
        container.ip("address add fd00:1::2/64 dev eth0");
    };
    mac_changed: |_, container, _| container.ip("link set eth0 address 02:00:00:00:00:99");
    network_route_deleted: |_, container, _| container.ip("route del 10.1.1.0/24 dev eth0");
    default_route_deleted: |_, container, _| container.ip("route del default");
    route_deleted: |_, container, _| container.ip("route del 10.9.0.0/16");
    port_deleted: |lab, _, result| lab.ip(&format!("link del {}", port(result)));
    port_unplugged: |lab, _, result| lab.ip(&format!("link set {} nomaster", port(result)));
    port_elsewhere: |lab, _, result| {
        lab.ip("link add other type bridge");
        lab.ip(&format!("link set {} master other", port(result)));
    };
    port_renamed: |lab, _, result| {
        lab.ip(&format!("link set {} down", port(result)));
        lab.ip(&format!("link set {} name other", port(result)));
        lab.ip("link set other up");
    };
    port_mac_changed: |lab, _, result| {
        lab.ip(&format!("link set {} address 02:00:00:00:00:99", port(result)));
    };
    bridge_deleted: |lab, _, _| lab.ip("link del cni0");
    bridge_mac_changed: |lab, _, _| lab.ip("link set cni0 address 02:00:00:00:00:99");
}

kinds! { lie:
    an_address_that_it_does_not_have: |result| result["ips"][0]["address"] = "10.1.1.9/24".into();
    a_prefix_length_that_it_does_not_have: |result| result["ips"][0]["address"] = "10.1.1.2/16".into();
    a_route_that_it_does_not_have: |result| result["routes"][0]["dst"] = "172.20.0.0/16".into();
    a_next_hop_that_it_does_not_have: |result| {
        assert_eq!(result["routes"][0]["gw"], "10.1.1.77");
        result["routes"][0]["gw"] = "10.1.1.78".into();
    };
    another_mac_of_the_container: |result| result["interfaces"][2]["mac"] = "02:00:00:00:00:99".into();
    another_mac_of_the_port: |result| result["interfaces"][1]["mac"] = "02:00:00:00:00:99".into();
    another_mac_of_the_bridge: |result| result["interfaces"][0]["mac"] = "02:00:00:00:00:99".into();
    another_sandbox: |result| result["interfaces"][2]["sandbox"] = "/run/netns/other".into();
    the_container_on_the_node: |result| {
        result["interfaces"][2].as_object_mut().unwrap().remove("sandbox");
    };
    another_name_in_the_container: |result| result["interfaces"][2]["name"] = "eth9".into();
    another_port: |result| result["interfaces"][1]["name"] = "veth0".into();
    no_port: |result| drop(result["interfaces"].as_array_mut().unwrap().remove(1));
    no_bridge: |result| drop(result["interfaces"].as_array_mut().unwrap().remove(0));
    no_interfaces: |result| result["interfaces"] = json!([]);
    another_bridge: |result| {
        assert_eq!(result["interfaces"][0]["name"], BRIDGE);
        result["interfaces"][0]["name"] = "cni9".into();
    };
}
