//! The known differences from the Go plugins 1.1.1, with the behaviour of ours and the reason.
//! `failed_add` has the rollback of a failed ADD, `refused` has input that only ours refuses.

use serde_json::{Value, json};
use testkit::conf::{with, without};
use testkit::expectations::{damaged_del_releases, del_of_a_path_that_is_no_namespace};
use testkit::wire::{Container, Lab};

use crate::side::{Side, both};

both!(
    resolver_of_ipam,
    a_repeated_route_is_added_once,
    duplicate_detection_without_a_gateway,
    check_of_a_route_without_a_next_hop,
    check_without_a_master,
    check_of_a_link_on_another_master,
    del_needs_no_valid_configuration,
    del_with_a_path_that_is_no_namespace,
    del_spares_an_interface_of_another_kind,
    codes_of_errors,
);

/// Resolver settings that IPAM found are passed on unless the configuration has its own.
fn resolver_of_ipam(lab: &Lab) {
    lab.node.write("/run/resolv.conf", "nameserver 10.1.1.53\n");
    let conf = lab.ipv4(json!({ "ipam": { "resolvConf": "/run/resolv.conf" } }));
    let result = lab.add(&Container::new("a"), &conf);
    let ipams = json!({ "nameservers": ["10.1.1.53"] });
    let found = result.get("dns").cloned().unwrap_or(json!({}));
    assert_eq!(found, lab.side.pick(ipams, json!({})));
}

/// flannel's routes may repeat the subnet's own route.
fn a_repeated_route_is_added_once(lab: &Lab) {
    let container = Container::new("a");
    let routes = json!([{ "dst": "10.9.0.0/16" }, { "dst": "10.9.0.0/16", "gw": "10.1.1.1" }]);
    let conf = lab.ipv4(json!({ "ipam": { "routes": routes } }));
    let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
    match lab.side {
        Side::Ours => {
            assert_eq!(outcome.success()["routes"], routes);
            let routes = container.routes_in_full();
            assert_eq!(routes, ["10.9.0.0/16 via 10.1.1.1 dev eth0"]);
        }
        Side::Reference => assert!(outcome.failure().msg.contains("file exists"), "{outcome}"),
    }
}

/// The Go plugins switch duplicate address detection on, but only wait for it if there is a
/// gateway.
fn duplicate_detection_without_a_gateway(lab: &Lab) {
    let container = Container::new("a");
    container.set("ipv6/conf/default/accept_dad", "1");
    let ipam = lab.install("scripted");
    let answer = json!({ "cniVersion": "1.0.0", "ips": [{ "address": "fd00:1::7/64" }] });
    ipam.on("ADD").stdout(answer.to_string());
    let call = lab.call("ADD", &container, &lab.scripted(json!({})));
    let outcome = lab.node.run(&call);
    outcome.success();
    if lab.side == Side::Ours {
        let eth0 = container.link("eth0");
        let address = eth0.addresses_in_full();
        assert_eq!(address[0].get("tentative"), None, "{eth0:?}");
        assert_eq!(address[0]["nodad"], true, "{eth0:?}");
    }
}

/// The route leads through the gateway, as ADD added it. The Go plugins look for a route without
/// one.
fn check_of_a_route_without_a_next_hop(lab: &Lab) {
    let routes = json!([{ "dst": "10.9.0.0/16" }, { "dst": "fd00:9::/48" }]);
    let conf = lab.dual_stack(json!({ "ipam": { "routes": routes } }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    let outcome = lab.check(&container, &conf, &result);
    match lab.side {
        Side::Ours => {
            outcome.silent();
            container.ip("route del 10.9.0.0/16");
            container.ip("route add 10.9.0.0/16 via 10.1.1.77");
            let outcome = lab.check(&container, &conf, &result);
            assert_eq!(outcome.failure().code, 120, "{outcome}");
        }
        Side::Reference => drop(outcome.failure()),
    }
}

/// The Go ipvlan looks for a master with an empty name. A changed default route is no damage.
fn check_without_a_master(lab: &Lab) {
    let conf = without(lab.ipv4(json!({})), "master");
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    let fails = lab.kind.name == "ipvlan" && lab.side == Side::Reference;
    let outcome = lab.check(&container, &conf, &result);
    if fails {
        outcome.failure();
    } else {
        outcome.silent();
    }
    lab.ip("route del default");
    let outcome = lab.check(&container, &conf, &result);
    match lab.side {
        Side::Ours => outcome.silent(),
        Side::Reference => drop(outcome.failure()),
    }
}

/// The Go plugins look whether the master exists, but not whether the link is on it.
fn check_of_a_link_on_another_master(lab: &Lab) {
    lab.ip("link add other0 type veth peer name other1");
    let container = Container::new("a");
    let conf = lab.ipv4(json!({}));
    let result = lab.add(&container, &conf);
    let conf = with(conf, json!({ "master": "other0" }));
    let outcome = lab.check(&container, &conf, &result);
    match lab.side {
        Side::Ours => {
            let failure = outcome.failure();
            assert_eq!(failure.code, 120, "{outcome}");
            assert!(failure.msg.contains("master"), "{outcome}");
            assert!(failure.msg.contains("other0"), "{outcome}");
        }
        Side::Reference => outcome.silent(),
    }
}

/// DEL releases everything with mistakes in the rest of the configuration.
fn del_needs_no_valid_configuration(lab: &Lab) {
    let (conf, container) = (lab.ipv4(json!({})), Container::new("a"));
    for keys in [
        json!({ "mtu": "x" }),
        json!({ "mode": 7 }),
        json!({ "linkInContainer": "x", "master": 7 }),
    ] {
        let del = lab.call("DEL", &container, &with(conf.clone(), keys));
        damaged_del_releases(lab, &container, &conf, &del);
    }
}

fn del_with_a_path_that_is_no_namespace(lab: &Lab) {
    del_of_a_path_that_is_no_namespace(lab, &Container::new("a"), &lab.ipv4(json!({})));
}

/// The runtime's DEL after a refused ADD must not remove another plugin's interface.
fn del_spares_an_interface_of_another_kind(lab: &Lab) {
    let container = Container::new("a");
    container.ip("link add eth0 type bridge");
    lab.del(&container, &lab.ipv4(json!({})));
    let names = lab.side.pick(&["lo", "eth0"][..], &["lo"]);
    assert_eq!(container.link_names(), names);
}

fn codes_of_errors(lab: &Lab) {
    let container = Container::new("a");
    let conf: Value = lab.ipv4(json!({ "mode": "nonsense" }));
    let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
    assert_eq!(outcome.failure().code, lab.side.pick(7, 999));
}
