//! An unspecified next hop, `0.0.0.0` or `::`, means that the destination is on the link. DHCP's
//! classless routes (option 121, RFC 3442) have such next hops.

use serde_json::{Value, json};
use testkit::{Outcome, ScriptedDelegate};

use crate::support::conf::{BRIDGE, layer2, with};
use crate::support::lab::{Container, IP_FORWARD, Lab};
use crate::support::side::{Side, both};
use crate::support::traffic::assert_reaches;

both!(
    a_route,
    a_route_of_ipv6,
    the_gateway_of_an_address,
    the_gateway_of_an_address_with_a_default_route,
);

/// An ADD with this answer of IPAM.
#[track_caller]
fn attached(lab: &Lab, answer: &Value, keys: Value) -> Attached {
    let ipam = lab.install("open-ipam");
    ipam.on("ADD").stdout(answer.to_string());
    let conf = with(layer2(keys), json!({ "ipam": { "type": "open-ipam" } }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    Attached {
        conf,
        container,
        result,
        _ipam: ipam,
    }
}

struct Attached {
    conf: Value,
    container: Container,
    result: Value,
    /// The scripted IPAM plugin, which works as long as this value exists.
    _ipam: ScriptedDelegate,
}

impl Attached {
    #[track_caller]
    fn check(&self, lab: &Lab) -> Outcome {
        lab.check(&self.container, &self.conf, &self.result)
    }
}

/// The bridge has another network's address as well, which the container reaches.
#[track_caller]
fn assert_link_has(lab: &Lab, container: &Container, address: &str) {
    lab.ip(&format!("address add {address} dev {BRIDGE} nodad"));
    if lab.link(BRIDGE).addresses() == [address] {
        lab.ip(&format!("route add 10.1.1.0/24 dev {BRIDGE}"));
    }
    let (ip, _) = address.split_once('/').unwrap();
    assert_reaches(container, ip);
}

/// The Go plugin looks for the next hop in the kernel's table.
fn a_route(lab: &Lab) {
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.5/24", "gateway": "10.1.1.1" }],
        "routes": [{ "dst": "10.9.0.0/16", "gw": "0.0.0.0" }],
    });
    let attached = attached(lab, &answer, json!({ "isGateway": true }));
    assert_eq!(
        attached.result["routes"],
        json!([{ "dst": "10.9.0.0/16", "gw": "0.0.0.0" }])
    );
    assert_eq!(
        attached.container.routes_in_full(),
        ["10.9.0.0/16 dev eth0"]
    );
    assert_link_has(lab, &attached.container, "10.9.0.1/16");
    let outcome = attached.check(lab);
    if lab.side == Side::Reference {
        outcome.failure();
        return;
    }
    outcome.silent();
    // A route through the gateway is a different route.
    attached
        .container
        .ip("route replace 10.9.0.0/16 via 10.1.1.1");
    let failure = attached.check(lab).failure();
    let expected = "the route to 10.9.0.0/16 of prevResult is missing";
    assert_eq!((failure.code, failure.msg.as_str()), (120, expected));
}

/// The kernel refuses `::` as a next hop, so the Go plugin's ADD fails.
fn a_route_of_ipv6(lab: &Lab) {
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "fd00:1::5/64", "gateway": "fd00:1::1" }],
        "routes": [{ "dst": "fd00:9::/64", "gw": "::" }],
    });
    if lab.side == Side::Reference {
        let ipam = lab.install("open-ipam");
        ipam.on("ADD").stdout(answer.to_string());
        let conf = layer2(json!({ "ipam": { "type": "open-ipam" } }));
        let container = Container::new("a");
        let message = lab.add_fails(&container, &conf);
        assert!(message.contains("invalid argument"), "{message}");
        return;
    }
    let attached = attached(lab, &answer, json!({ "isGateway": true }));
    assert_eq!(
        attached.container.routes_in_full(),
        ["fd00:9::/64 dev eth0"]
    );
    assert_link_has(lab, &attached.container, "fd00:9::1/64");
    attached.check(lab).silent();
}

/// The bridge does not get that address, and a route without a next hop is on the link.
fn the_gateway_of_an_address(lab: &Lab) {
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.5/24", "gateway": "0.0.0.0" }],
        "routes": [{ "dst": "10.9.0.0/16" }],
    });
    let attached = attached(lab, &answer, json!({ "isGateway": true }));
    assert_eq!(attached.result["ips"][0]["gateway"], "0.0.0.0");
    assert_eq!(lab.link(BRIDGE).addresses(), [""; 0]);
    assert_eq!(lab.setting(IP_FORWARD), 1);
    assert_eq!(
        attached.container.routes_in_full(),
        ["10.9.0.0/16 dev eth0"]
    );
    assert_link_has(lab, &attached.container, "10.9.0.1/16");
    attached.check(lab).silent();
    // The bridge's present address does not conflict; the Go plugin wants 0.0.0.0 in its place.
    let b = Container::new("b");
    let outcome = lab.node.run(&lab.call("ADD", &b, &attached.conf));
    match lab.side {
        Side::Ours => drop(outcome.success()),
        Side::Reference => drop(outcome.failure()),
    }
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.9.0.1/16"]);
}

fn the_gateway_of_an_address_with_a_default_route(lab: &Lab) {
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.5/24", "gateway": "0.0.0.0" }],
    });
    let attached = attached(lab, &answer, json!({ "isDefaultGateway": true }));
    assert_eq!(
        attached.result["routes"],
        json!([{ "dst": "0.0.0.0/0", "gw": "0.0.0.0" }])
    );
    assert_eq!(attached.container.routes_in_full(), ["default dev eth0"]);
    assert_link_has(lab, &attached.container, "192.0.2.7/24");
    attached.check(lab).silent();
}
