//! CHECK of healthy containers whose node or namespace other programs have changed.

use serde_json::json;
use testkit::Invocation;
use testkit::conf::of;
use testkit::requirements::require_reference;

use crate::check::port;
use crate::support::conf::{BRIDGE, GATEWAY, dual_stack, ipv4, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::{Side, both, ours};
use crate::support::traffic::{assert_answered, assert_reaches};

both!(
    hairpin_mode_that_others_switch_on,
    promiscuous_mode_that_others_switch_on,
    a_bridge_by_an_alternative_name,
    routes_that_sbr_moves,
);

ours!(
    configured_modes_that_are_off_are_damage,
    port_isolation_that_others_switch_on,
);

/// kube-router switches hairpin mode on for every port of the bridge.
fn hairpin_mode_that_others_switch_on(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    let result = lab.add(&container, &conf);
    lab.ip(&format!(
        "link set {} type bridge_slave hairpin on",
        port(&result)
    ));
    lab.check(&container, &conf, &result).silent();
}

/// Packet captures such as tcpdump switch it on. The Go plugin reports damage.
fn promiscuous_mode_that_others_switch_on(lab: &Lab) {
    let (conf, container) = (ipv4(json!({ "isGateway": true })), Container::new("a"));
    let result = lab.add(&container, &conf);
    lab.ip(&format!("link set {BRIDGE} promisc on"));
    assert_reaches(&container, GATEWAY);
    let outcome = lab.check(&container, &conf, &result);
    match lab.side {
        Side::Ours => outcome.silent(),
        Side::Reference => drop(outcome.failure()),
    }
}

/// The result has the bridge's name. The Go plugin looks for the alternative name in it.
fn a_bridge_by_an_alternative_name(lab: &Lab) {
    lab.ip("link add br-main type bridge");
    lab.ip("link property add dev br-main altname containers0");
    let keys = json!({ "bridge": "containers0", "isGateway": true });
    let (conf, container) = (ipv4(keys), Container::new("a"));
    let result = lab.add(&container, &conf);
    assert_eq!(result["interfaces"][0]["name"], "br-main");
    assert_reaches(&container, GATEWAY);
    let outcome = lab.check(&container, &conf, &result);
    if lab.side == Side::Reference {
        outcome.failure();
        return;
    }
    outcome.silent();
    // The name may have become another bridge's.
    lab.ip("link property del dev br-main altname containers0");
    let check = |expected: &str| {
        let failure = lab.check(&container, &conf, &result).failure();
        assert_eq!((failure.code, failure.msg.as_str()), (120, expected));
    };
    check("interface containers0 is gone from the node");
    lab.ip("link add containers0 type bridge");
    check("prevResult has no interface containers0 on the node");
}

/// A mode that the configuration requires must be on.
fn configured_modes_that_are_off_are_damage(lab: &Lab) {
    let cases = [
        ("hairpinMode", "link set PORT type bridge_slave hairpin off"),
        (
            "portIsolation",
            "link set PORT type bridge_slave isolated off",
        ),
        ("promiscMode", "link set cni0 promisc off"),
    ];
    for (key, switch_off) in cases {
        let (conf, container) = (ipv4(json!({ key: true })), Container::new(key));
        let result = lab.add(&container, &conf);
        lab.check(&container, &conf, &result).silent();
        lab.ip(&switch_off.replace("PORT", port(&result)));
        let failure = lab.check(&container, &conf, &result).failure();
        assert_eq!(failure.code, 120);
        let expected = format!("{key} of interface ");
        assert!(failure.msg.starts_with(&expected), "{failure:?}");
        assert!(failure.msg.ends_with(" is false, not true"), "{failure:?}");
        lab.del(&container, &conf);
        lab.ip("link set cni0 promisc off");
    }
}

/// Isolation cuts the container off from isolated containers.
fn port_isolation_that_others_switch_on(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    let result = lab.add(&container, &conf);
    lab.ip(&format!(
        "link set {} type bridge_slave isolated on",
        port(&result)
    ));
    let failure = lab.check(&container, &conf, &result).failure();
    let expected = format!(
        "portIsolation of interface {} is true, not false",
        port(&result)
    );
    assert_eq!((failure.code, failure.msg), (120, expected));
    let wanted = with(conf, json!({ "portIsolation": true }));
    lab.check(&container, &wanted, &result).silent();
}

/// The plugin `sbr` of a chain moves an interface's routes into tables that rules lead to from its
/// addresses. The Go plugin looks in the main table alone.
fn routes_that_sbr_moves(lab: &Lab) {
    let Some(sbr) = require_reference("sbr") else {
        return;
    };
    let routes = json!([
        { "dst": "10.9.0.0/16", "gw": "10.1.1.77" },
        { "dst": "fd00:9::/48", "gw": "fd00:1::77" },
    ]);
    let keys = json!({ "isDefaultGateway": true, "ipam": { "routes": routes } });
    let (conf, container) = (dual_stack(keys), Container::new("a"));
    let result = lab.add(&container, &conf);
    let chained = of("sbr", json!({ "prevResult": result }));
    let call = Invocation::attach(&sbr, "ADD", &container.id).netns(container.sandbox.path());
    let moved = lab.node.run(&call.config(&chained));
    assert_eq!(moved.code, Some(0), "{moved}");
    assert_eq!(container.routes(), [""; 0], "all of them are elsewhere");
    assert_answered(&container, &["-I", "10.1.1.2", GATEWAY]);
    let outcome = lab.check(&container, &conf, &result);
    if lab.side == Side::Reference {
        outcome.failure();
        return;
    }
    outcome.silent();
    let fails = |damage: &str, expected: &str, repair: &str| {
        container.ip(damage);
        let failure = lab.check(&container, &conf, &result).failure();
        assert_eq!((failure.code, failure.msg.as_str()), (120, expected));
        container.ip(repair);
        lab.check(&container, &conf, &result).silent();
    };
    let missing = "the route to 10.9.0.0/16 via 10.1.1.77 of prevResult is missing";
    fails(
        "route del 10.9.0.0/16 table 100",
        missing,
        "route add 10.9.0.0/16 via 10.1.1.77 table 100",
    );
    // Without the rule, or with one for other packets, the table is not used.
    let no_network = "interface eth0 has no route to 10.1.1.0/24, the network of its address";
    let rule = "from 10.1.1.2 table 100";
    let (add, del) = (format!("rule add {rule}"), format!("rule del {rule}"));
    fails(&del, no_network, &add);
    container.ip(&del);
    for other in [
        "not from 10.1.1.2 table 100",
        "from 10.1.1.3 table 100",
        "from 10.1.1.2 fwmark 7 table 100",
        "from 10.1.1.2 to 192.0.2.0/24 table 100",
        "from 10.1.1.2 table 100 suppress_prefixlength 16",
    ] {
        fails(&format!("rule add {other}"), no_network, &add);
        container.ip(&format!("rule del {other}"));
        container.ip(&del);
    }
    container.ip("rule add from 10.1.0.0/16 table 100");
    lab.check(&container, &conf, &result).silent();
}
