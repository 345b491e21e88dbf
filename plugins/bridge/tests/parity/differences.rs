//! The known differences from the Go plugin 1.1.1, with the behaviour of ours and the reason.
//! `failed_add` has the rollback of a failed ADD, `bad_input` has input that only ours refuses.

use serde_json::{Value, json};
use testkit::advertisement::advertise_router;
use testkit::expectations::{damaged_del_releases, del_of_a_path_that_is_no_namespace};

use crate::check::port;
use crate::support::conf::{BRIDGE, GATEWAY, dual_stack, ipv4, ipv6, layer2, of_subnets, with};
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, default_routes, wait_for_default_routes};
use crate::support::side::{Side, both};

both!(
    dns_of_ipam,
    cni_args_for_two_plugins,
    the_mac_of_a_bridge_without_an_address,
    a_stale_address_of_an_unused_bridge,
    a_default_route_without_a_next_hop,
    the_gateways_address_is_ready,
    check_without_ipam,
    check_of_a_route_without_a_next_hop,
    check_of_a_port_that_is_down,
    check_of_the_gateways_address,
    masquerading_ends_without_a_namespace,
    masquerading_ends_when_the_link_is_gone,
    del_with_a_path_that_is_no_namespace,
    del_needs_no_valid_configuration,
    spoof_checking_is_removed_once,
    what_a_failed_add_leaves,
    codes_of_errors,
    a_container_without_mtu_on_a_jumbo_bridge,
    an_address_that_is_its_gateways_too,
    the_nodes_own_default_route,
);

/// Resolver settings that IPAM found are passed on unless the configuration has its own; newer Go
/// plugins do it too.
fn dns_of_ipam(lab: &Lab) {
    lab.node.write("/run/resolv.conf", "nameserver 10.1.1.53\n");
    let resolv_conf = json!({ "ipam": { "resolvConf": "/run/resolv.conf" } });
    let conf = ipv4(resolv_conf.clone());
    let a = Container::new("a");
    let result = lab.add(&a, &conf);
    let ipams = json!({ "nameservers": ["10.1.1.53"] });
    assert_eq!(result["dns"], lab.side.pick(ipams, json!({})));
    let own = json!({ "search": ["example.org"] });
    let conf = with(conf, json!({ "dns": own }));
    let b = Container::new("b");
    let result = lab.add(&b, &conf);
    assert_eq!(result["dns"], own);
}

/// The plugin and its IPAM plugin get the same `CNI_ARGS`, and each ignores the other's names. The
/// Go plugins do so only with `IgnoreUnknown=1`.
fn cni_args_for_two_plugins(lab: &Lab) {
    let (container, mac) = (Container::new("a"), "02:00:00:00:00:01");
    let call = lab.call("ADD", &container, &ipv4(json!({})));
    let call = call.args(format!("IP=10.1.1.9;MAC={mac}"));
    let outcome = lab.node.run(&call);
    if lab.side == Side::Reference {
        outcome.failure();
        return;
    }
    let result = outcome.success();
    assert_eq!(result["interfaces"][2]["mac"], mac);
    assert_eq!(result["ips"][0]["address"], "10.1.1.9/24");
    assert_eq!(container.link("eth0").mac(), mac);
}

/// The Go plugin fixes the MAC only when the bridge gets an address.
fn the_mac_of_a_bridge_without_an_address(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &layer2(json!({})));
    let mac = lab.link(BRIDGE).mac().to_owned();
    let result = lab.add(&b, &layer2(json!({})));
    lab.ip(&format!(
        "link set {} address 00:00:00:00:00:01",
        port(&result)
    ));
    let after = lab.link(BRIDGE).mac().to_owned();
    assert_eq!(after, lab.side.pick(&*mac, "00:00:00:00:00:01"));
}

/// The node has another lease than when the bridge was created.
fn a_stale_address_of_an_unused_bridge(lab: &Lab) {
    let conf = |subnets: &[&str]| of_subnets(subnets, json!({ "isGateway": true }));
    let first = ["10.1.1.0/24", "fd00:1::/64"];
    let second = ["10.2.2.0/24", "fd00:1::/80"];
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf(&first));
    lab.del(&a, &conf(&first));
    let mac = lab.link(BRIDGE).mac().to_owned();
    let outcome = lab.node.run(&lab.call("ADD", &b, &conf(&second)));
    match lab.side {
        Side::Ours => {
            let result = outcome.success();
            assert_eq!(result["interfaces"][0]["mac"], &*mac);
            let bridge = lab.link(BRIDGE);
            assert_eq!(bridge.addresses(), ["10.2.2.1/24", "fd00:1::1/80"]);
            assert_eq!(bridge.mac(), mac);
        }
        Side::Reference => {
            let expected = "already has an IP address different from 10.2.2.1/24";
            assert!(outcome.failure().msg.contains(expected), "{outcome}");
        }
    }
}

/// The Go plugin adds a second default route, and fails because of both.
fn a_default_route_without_a_next_hop(lab: &Lab) {
    let conf = ipv4(json!({
        "isDefaultGateway": true,
        "ipam": { "routes": [{ "dst": "0.0.0.0/0" }] },
    }));
    let container = Container::new("a");
    let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
    match lab.side {
        Side::Ours => {
            outcome.success();
            assert_eq!(container.routes(), ["default via 10.1.1.1"]);
        }
        Side::Reference => assert!(outcome.failure().msg.contains("file exists"), "{outcome}"),
    }
}

/// No other machine has the gateway's address, so there is no duplicate address detection, during
/// which it would not answer.
fn the_gateways_address_is_ready(lab: &Lab) {
    lab.node
        .write("/proc/sys/net/ipv6/conf/default/accept_dad", "1");
    let a = Container::new("a");
    lab.add(&a, &ipv6(json!({ "isGateway": true })));
    let bridge = lab.link(BRIDGE);
    let all = bridge.0["addr_info"].as_array().unwrap();
    let gateway = all.iter().find(|address| address["local"] == "fd00:1::1");
    let tentative = gateway.unwrap().get("tentative").is_some();
    assert_eq!(tentative, lab.side == Side::Reference, "{bridge:?}");
}

/// The Go plugin calls an IPAM plugin without a name.
fn check_without_ipam(lab: &Lab) {
    let container = Container::new("a");
    let conf = layer2(json!({}));
    let result = lab.add(&container, &conf);
    let outcome = lab.check(&container, &conf, &result);
    match lab.side {
        Side::Ours => {
            outcome.silent();
            container.ip("link set eth0 down");
            lab.check(&container, &conf, &result).failure();
        }
        Side::Reference => {
            outcome.failure();
        }
    }
}

/// The route leads through the gateway, as ADD added it.
fn check_of_a_route_without_a_next_hop(lab: &Lab) {
    let conf = dual_stack(json!({
        "isGateway": true,
        "ipam": { "routes": [{ "dst": "10.9.0.0/16" }, { "dst": "fd00:9::/48" }] },
    }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    let outcome = lab.check(&container, &conf, &result);
    match lab.side {
        Side::Ours => {
            outcome.silent();
            container.ip("route del 10.9.0.0/16");
            container.ip("route add 10.9.0.0/16 via 10.1.1.77");
            lab.check(&container, &conf, &result).failure();
        }
        Side::Reference => {
            outcome.failure();
        }
    }
}

/// CHECK of damage that the Go plugin does not detect.
#[track_caller]
fn unseen_damage(lab: &Lab, conf: &Value, break_it: impl FnOnce(&Value)) {
    let container = Container::new("a");
    let result = lab.add(&container, conf);
    lab.check(&container, conf, &result).silent();
    break_it(&result);
    let outcome = lab.check(&container, conf, &result);
    match lab.side {
        Side::Ours => assert_eq!(outcome.failure().code, 120, "{outcome}"),
        Side::Reference => outcome.silent(),
    }
}

fn check_of_a_port_that_is_down(lab: &Lab) {
    unseen_damage(lab, &ipv4(json!({})), |result| {
        lab.ip(&format!("link set {} down", port(result)));
    });
}

fn check_of_the_gateways_address(lab: &Lab) {
    unseen_damage(lab, &ipv4(json!({ "isGateway": true })), |_| {
        lab.ip(&format!("address del {GATEWAY}/24 dev {BRIDGE}"));
    });
}

fn masqueraded() -> Value {
    dual_stack(json!({ "isDefaultGateway": true, "ipMasq": true }))
}

#[track_caller]
fn assert_rules_stay_with_the_reference(lab: &Lab) {
    let rules = lab.ruleset();
    for address in ["10.1.1.2", "fd00:1::2"] {
        let stays = rules.contains(address);
        assert_eq!(stays, lab.side == Side::Reference, "{address}: {rules}");
    }
}

/// Ours finds rules by the attachment; the Go plugin needs the link's addresses.
fn masquerading_ends_without_a_namespace(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &masqueraded());
    let del = lab.call("DEL", &container, &masqueraded());
    lab.node.run(&del.without("CNI_NETNS")).silent();
    assert_rules_stay_with_the_reference(lab);
}

fn masquerading_ends_when_the_link_is_gone(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &masqueraded());
    container.ip("link del eth0");
    lab.del(&container, &masqueraded());
    assert_rules_stay_with_the_reference(lab);
}

fn del_with_a_path_that_is_no_namespace(lab: &Lab) {
    del_of_a_path_that_is_no_namespace(lab, &Container::new("a"), &ipv4(json!({})));
}

/// DEL releases everything with mistakes in the rest of the configuration.
fn del_needs_no_valid_configuration(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    let mut attempts: Vec<(Value, &str)> = Vec::new();
    for keys in [
        json!({ "vlan": 5000 }),
        json!({ "vlan": "x" }),
        json!({ "mtu": "x" }),
    ] {
        attempts.push((with(conf.clone(), keys), ""));
    }
    attempts.push((conf.clone(), "K8S_POD_NAME=p"));
    attempts.push((conf.clone(), "nonsense"));
    for (damaged, args) in attempts {
        let del = lab.call("DEL", &container, &damaged).args(args);
        damaged_del_releases(lab, &container, &conf, &del);
    }
}

/// A second DEL has nothing to remove, and prints nothing.
fn spoof_checking_is_removed_once(lab: &Lab) {
    let (conf, container) = (ipv4(json!({ "macspoofchk": true })), Container::new("a"));
    lab.add(&container, &conf);
    lab.del(&container, &conf);
    let again = lab.node.run(&lab.call("DEL", &container, &conf));
    assert_eq!(again.code, Some(0), "{again}");
    let said = !again.stderr.is_empty();
    assert_eq!(said, lab.side == Side::Reference, "{again}");
}

/// IPAM has no free address after bridge and link have been created.
fn what_a_failed_add_leaves(lab: &Lab) {
    let conf = ipv4(json!({
        "isGateway": true,
        "ipam": { "ranges": [[{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.2" }]] },
    }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf);
    let other = with(conf, json!({ "bridge": "cni1" }));
    let message = lab.add_fails(&b, &other);
    let expected = "no IP addresses available in range set: 10.1.1.1-10.1.1.2";
    assert!(message.contains(expected), "{message}");
    let left = lab.side.pick(&["lo"][..], &["lo", "eth0"]);
    assert_eq!(b.link_names(), left);
    let bridge_stays = lab.find_link("cni1").is_some();
    assert_eq!(bridge_stays, lab.side == Side::Reference);
}

fn codes_of_errors(lab: &Lab) {
    let container = Container::new("a");
    let conf = layer2(json!({ "hairpinMode": true, "promiscMode": true }));
    let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
    assert_eq!(outcome.failure().code, lab.side.pick(7, 999));
}

/// The kernel gives a bridge the smallest MTU of its ports, unless its operator has set one.
fn a_container_without_mtu_on_a_jumbo_bridge(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link add uplink0 mtu 9000 type veth peer name uplink1 mtu 9000");
    lab.ip("link set uplink0 master cni0 up");
    let container = Container::new("a");
    lab.add(&container, &ipv4(json!({})));
    let expected = lab.side.pick(9000, 1500);
    assert_eq!(lab.link(BRIDGE).mtu(), expected);
    assert_eq!(container.link("eth0").mtu(), expected);
}

/// IPAM names no gateway, so it is the first address of the network.
fn an_address_that_is_its_gateways_too(lab: &Lab) {
    let ipam = lab.install("open-ipam");
    let answer = json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.1.1.1/24" }] });
    ipam.on("ADD").stdout(answer.to_string());
    let conf = layer2(json!({ "isGateway": true, "ipam": { "type": "open-ipam" } }));
    let container = Container::new("a");
    let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
    match lab.side {
        Side::Ours => assert_eq!(outcome.failure().code, 7, "{outcome}"),
        Side::Reference => {
            outcome.success();
            assert_eq!(container.link("eth0").addresses(), ["10.1.1.1/24"]);
            assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.1/24"]);
        }
    }
}

/// With the Go plugin, a node loses its default route by router advertisements as soon as it
/// forwards.
fn the_nodes_own_default_route(lab: &Lab) {
    let outside = outside::connect(lab);
    advertise_router(&outside, "wire1", 1800);
    wait_for_default_routes(lab, &["wire0"]);
    lab.add(&Container::new("a"), &ipv6(json!({ "isGateway": true })));
    let expected = lab.side.pick(&["wire0"][..], &[]);
    assert_eq!(default_routes(lab), expected);
}
