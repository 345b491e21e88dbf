//! CHECK of intact and of damaged attachments.

use serde_json::{Value, json};
use testkit::conf::with;
use testkit::expectations::{
    check_asks_ipam, check_finds, check_finds_lie, check_follows_attachments,
};
use testkit::wire::{Container, Lab};

use crate::side::{Side, both};

both!(
    check_accepts_an_intact_attachment,
    check_fails_without_an_add,
    check_requires_prev_result,
    older_versions_have_no_check,
    check_calls_ipam,
    additions_of_others_are_no_damage,
);

/// Every route has a next hop, because Debian's plugin looks for a route without one literally,
/// although its ADD adds one.
fn conf(lab: &Lab) -> Value {
    lab.dual_stack(json!({
        "ipam": { "routes": [
            { "dst": "10.9.0.0/16", "gw": "10.1.1.77" },
            { "dst": "fd00:9::/48", "gw": "fd00:1::77" },
        ] },
    }))
}

/// An attached container and the result of its ADD.
#[track_caller]
fn attached(lab: &Lab) -> (Container, Value) {
    let container = Container::new("a");
    let result = lab.add(&container, &conf(lab));
    (container, result)
}

fn check_accepts_an_intact_attachment(lab: &Lab) {
    check_follows_attachments(lab, &conf(lab), Container::new);
}

fn check_fails_without_an_add(lab: &Lab) {
    let (_attached, result) = attached(lab);
    let other = Container::new("b");
    lab.check(&other, &conf(lab), &result).failure();
}

fn check_requires_prev_result(lab: &Lab) {
    let (container, _) = attached(lab);
    let call = lab.call("CHECK", &container, &conf(lab));
    let failure = lab.node.run(&call).failure();
    assert!(failure.msg.contains("prevResult"), "{failure:?}");
}

fn older_versions_have_no_check(lab: &Lab) {
    for version in ["0.1.0", "0.3.1"] {
        let conf = with(conf(lab), json!({ "cniVersion": version }));
        let container = Container::new(version);
        let result = lab.add(&container, &conf);
        let failure = lab.check(&container, &conf, &result).failure();
        assert_eq!(failure.code, 1);
        lab.del(&container, &conf);
    }
}

fn check_calls_ipam(lab: &Lab) {
    let (container, result) = attached(lab);
    let addresses = ["10.1.1.2", "fd00:1::2"];
    check_asks_ipam(lab, &container, &conf(lab), &result, &addresses);
}

fn additions_of_others_are_no_damage(lab: &Lab) {
    let (container, result) = attached(lab);
    container.ip("address add 192.0.2.7/24 dev eth0");
    container.ip("route add 192.168.0.0/16 via 10.1.1.1");
    container.ip("link add other type veth peer name another");
    lab.check(&container, &conf(lab), &result).silent();
}

/// Damage that both plugins detect.
#[track_caller]
fn damage(lab: &Lab, break_it: fn(&Lab, &Container)) {
    let (container, result) = attached(lab);
    check_finds(lab, &container, &conf(lab), &result, || {
        break_it(lab, &container);
    });
}

#[track_caller]
fn lie(lab: &Lab, change: fn(&mut Value)) {
    let (container, result) = attached(lab);
    check_finds_lie(lab, &container, &conf(lab), result, change);
}

macro_rules! kinds {
    ($of:ident: $($test:ident: $change:expr;)*) => {
        both! { $($test: |lab| $of(lab, $change);)* }
    };
}

kinds! { damage:
    address_deleted: |_, container| container.ip("address del 10.1.1.2/24 dev eth0");
    address6_deleted: |_, container| container.ip("address del fd00:1::2/64 dev eth0");
    address_of_another_length: |_, container| {
        container.ip("address del 10.1.1.2/24 dev eth0");
        container.ip("address add 10.1.1.2/16 dev eth0");
    };
    link_down: |_, container| container.ip("link set eth0 down");
    link_deleted: |_, container| container.ip("link del eth0");
    link_of_another_kind: |_, container| {
        let mac = container.link("eth0").mac().to_owned();
        container.ip("link del eth0");
        container.ip(&format!("link add eth0 address {mac} type bridge"));
        container.ip("link set eth0 up");
        container.ip("address add 10.1.1.2/24 dev eth0");
        container.ip("address add fd00:1::2/64 dev eth0");
        container.ip("route add 10.9.0.0/16 via 10.1.1.77");
        container.ip("route add fd00:9::/48 via fd00:1::77");
    };
    route_deleted: |_, container| container.ip("route del 10.9.0.0/16");
    route6_deleted: |_, container| container.ip("route del fd00:9::/48");
    route_elsewhere: |_, container| {
        container.ip("route del 10.9.0.0/16");
        container.ip("route add 10.9.0.0/16 via 10.1.1.78");
    };
    network_route_deleted: |_, container| {
        container.ip("route del 10.9.0.0/16");
        container.ip("route add 10.9.0.0/16 via 10.1.1.77 onlink dev eth0");
        container.ip("route del 10.1.1.0/24");
    };
    master_gone: |lab, _| {
        lab.ip("link set wire0 down");
        lab.ip("link set wire0 name other0");
        lab.ip("link set other0 up");
    };
}

kinds! { lie:
    an_address_that_it_does_not_have: |result| result["ips"][0]["address"] = "10.1.1.9/24".into();
    a_prefix_length_that_it_does_not_have: |result| result["ips"][0]["address"] = "10.1.1.2/16".into();
    a_route_that_it_does_not_have: |result| result["routes"][0]["dst"] = "172.20.0.0/16".into();
    a_next_hop_that_it_does_not_have: |result| result["routes"][0]["gw"] = "10.1.1.78".into();
    another_mac: |result| result["interfaces"][0]["mac"] = "02:00:00:00:00:99".into();
    another_sandbox: |result| result["interfaces"][0]["sandbox"] = "/run/netns/other".into();
    on_the_node: |result| drop(result["interfaces"][0].as_object_mut().unwrap().remove("sandbox"));
    another_name: |result| result["interfaces"][0]["name"] = "eth9".into();
    no_interfaces: |result| result["interfaces"] = json!([]);
}

both!(another_mode_is_damage, a_master_on_another_link_is_accepted);

fn another_mode_is_damage(lab: &Lab) {
    let (container, result) = attached(lab);
    let conf = with(conf(lab), json!({ "mode": lab.kind.other_mode }));
    let outcome = lab.check(&container, &conf, &result);
    let failure = outcome.failure();
    if lab.side == Side::Ours {
        assert_eq!(failure.code, 120, "{outcome}");
        for text in ["mode", "eth0", lab.kind.default_mode, lab.kind.other_mode] {
            assert!(failure.msg.contains(text), "{outcome}");
        }
    }
}

/// If the master is itself on another link, the kernel attaches the new link to that link.
fn a_master_on_another_link_is_accepted(lab: &Lab) {
    lab.ip(&format!(
        "link add first0 link wire0 type {}",
        lab.kind.name
    ));
    lab.ip("link set first0 up");
    let conf = with(conf(lab), json!({ "master": "first0" }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    let wire = lab.link("wire0").index();
    assert_eq!(container.link("eth0").parent(), Some(wire));
    container.assert_reaches("10.1.1.1");
    lab.check(&container, &conf, &result).silent();
    if lab.side == Side::Reference {
        return;
    }
    // A link with the same name on another wire is another master.
    lab.ip("link del first0");
    lab.ip("link add wire7 type veth peer name wire8");
    lab.ip(&format!(
        "link add first0 link wire7 type {}",
        lab.kind.name
    ));
    let failure = lab.check(&container, &conf, &result).failure();
    let expected = "master of interface eth0 is wire0, not first0";
    assert_eq!((failure.code, failure.msg.as_str()), (120, expected));
}
