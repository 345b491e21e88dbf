//! CHECK of containers that are attached as they were, on a node and in containers where others are at work as well.

use serde_json::json;

use crate::check::port;
use crate::support::conf::{BRIDGE, GATEWAY, ipv4, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::{Side, both, ours};
use crate::support::traffic::assert_reaches;

both!(
    hairpin_mode_that_others_switch_on,
    promiscuous_mode_that_others_switch_on,
    a_bridge_by_an_alternative_name,
);

ours!(
    modes_that_are_asked_for,
    port_isolation_that_others_switch_on,
);

/// kube-router has every port of the bridge send out what came in by it.
fn hairpin_mode_that_others_switch_on(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    let result = lab.add(&container, &conf);
    lab.ip(&format!(
        "link set {} type bridge_slave hairpin on",
        port(&result)
    ));
    lab.check(&container, &conf, &result).silent();
}

/// So does whoever listens on the bridge, such as tcpdump. The Go plugin takes that for damage.
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

/// The result has the bridge's name. The Go plugin looks for the alternative one there.
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

/// What the configuration asks for and is off is damage.
fn modes_that_are_asked_for(lab: &Lab) {
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

/// It cuts the container off from others that are isolated on purpose.
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
