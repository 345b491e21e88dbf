//! The node as the containers' gateway.

use serde_json::{Value, json};

use crate::support::conf::{BRIDGE, dual_stack, ipv4, ipv6, layer2, of_subnets, with};
use crate::support::lab::{Container, IP_FORWARD, IPV6_FORWARD, Lab};
use crate::support::side::both;

both!(
    forwarding_is_on_for_the_containers_families,
    forwarding_is_left_alone_without_a_gateway,
    a_default_gateway_is_a_gateway,
    default_routes_of_ipam_are_kept,
    a_default_route_of_one_family_only,
    ipam_chooses_the_gateway,
    without_a_gateway_from_ipam_the_first_address_is_the_gateway,
    several_subnets_of_ipv6,
    another_subnet_is_refused,
    another_subnet_with_force,
    overlapping_subnets_of_ipv6,
    a_second_family_comes_later,
);

fn forwarding_is_on_for_the_containers_families(lab: &Lab) {
    let settings = || [lab.setting(IP_FORWARD), lab.setting(IPV6_FORWARD)];
    assert_eq!(settings(), [0, 0]);
    let a = Container::new("a");
    lab.add(&a, &ipv4(json!({ "isGateway": true, "bridge": "br4" })));
    assert_eq!(settings(), [1, 0]);
    lab.node.write(IP_FORWARD, "0");
    let b = Container::new("b");
    lab.add(&b, &ipv6(json!({ "isGateway": true, "bridge": "br6" })));
    assert_eq!(settings(), [0, 1]);
}

fn forwarding_is_left_alone_without_a_gateway(lab: &Lab) {
    let a = Container::new("a");
    lab.add(&a, &dual_stack(json!({})));
    let b = Container::new("b");
    lab.add(&b, &layer2(json!({ "isGateway": true })));
    assert_eq!([lab.setting(IP_FORWARD), lab.setting(IPV6_FORWARD)], [0, 0]);
    assert_eq!(lab.link(BRIDGE).addresses(), [""; 0]);
}

fn a_default_gateway_is_a_gateway(lab: &Lab) {
    let container = Container::new("a");
    let conf = dual_stack(json!({ "isDefaultGateway": true, "isGateway": false }));
    let result = lab.add(&container, &conf);
    assert_eq!(
        result["routes"],
        json!([
            { "dst": "0.0.0.0/0", "gw": "10.1.1.1" },
            { "dst": "::/0", "gw": "fd00:1::1" },
        ])
    );
    assert_eq!(
        container.routes(),
        ["default via 10.1.1.1", "default via fd00:1::1"]
    );
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["10.1.1.1/24", "fd00:1::1/64"]);
    assert_eq!(lab.setting(IP_FORWARD), 1);
}

/// No default route is added beside one with its own next hop.
fn default_routes_of_ipam_are_kept(lab: &Lab) {
    let routes = json!([{ "dst": "0.0.0.0/0", "gw": "10.1.1.77" }]);
    let conf = ipv4(json!({ "isDefaultGateway": true, "ipam": { "routes": routes } }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    assert_eq!(result["routes"], routes);
    assert_eq!(container.routes(), ["default via 10.1.1.77"]);
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.1/24"]);
}

fn a_default_route_of_one_family_only(lab: &Lab) {
    let conf = dual_stack(json!({
        "isDefaultGateway": true,
        "ipam": { "routes": [{ "dst": "::/0", "gw": "fd00:1::77" }, { "dst": "10.9.0.0/16" }] },
    }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    assert_eq!(
        result["routes"],
        json!([
            { "dst": "::/0", "gw": "fd00:1::77" },
            { "dst": "10.9.0.0/16" },
            { "dst": "0.0.0.0/0", "gw": "10.1.1.1" },
        ])
    );
    assert_eq!(
        container.routes(),
        [
            "10.9.0.0/16 via 10.1.1.1",
            "default via 10.1.1.1",
            "default via fd00:1::77"
        ]
    );
}

fn ipam_chooses_the_gateway(lab: &Lab) {
    let ranges = json!([[{ "subnet": "10.1.1.0/24", "gateway": "10.1.1.254" }]]);
    let conf = layer2(json!({
        "isDefaultGateway": true,
        "ipam": { "type": "host-local", "ranges": ranges },
    }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    assert_eq!(result["ips"][0]["gateway"], "10.1.1.254");
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.254/24"]);
    assert_eq!(container.routes(), ["default via 10.1.1.254"]);
}

/// Then it is the first address of the subnet.
fn without_a_gateway_from_ipam_the_first_address_is_the_gateway(lab: &Lab) {
    let ipam = lab.install("open-ipam");
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.130/25" }, { "address": "fd00:1::130/112" }],
    });
    ipam.on("ADD").stdout(answer.to_string());
    let conf = |keys: Value| with(layer2(json!({ "ipam": { "type": "open-ipam" } })), keys);
    let container = Container::new("a");
    let result = lab.add(&container, &conf(json!({ "bridge": "br0" })));
    assert_eq!(result["ips"][0].get("gateway"), None);
    assert_eq!(lab.link("br0").addresses(), [""; 0]);

    let container = Container::new("b");
    let result = lab.add(&container, &conf(json!({ "isGateway": true })));
    assert_eq!(
        result["ips"],
        json!([
            { "interface": 2, "address": "10.1.1.130/25", "gateway": "10.1.1.129" },
            { "interface": 2, "address": "fd00:1::130/112", "gateway": "fd00:1::1" },
        ])
    );
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["10.1.1.129/25", "fd00:1::1/112"]);
}

fn several_subnets_of_ipv6(lab: &Lab) {
    let conf = |subnet: &str| of_subnets(&[subnet], json!({ "isGateway": true }));
    let a = Container::new("a");
    lab.add(&a, &conf("fd00:1::/64"));
    let b = Container::new("b");
    lab.add(&b, &conf("fd00:2::/64"));
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["fd00:1::1/64", "fd00:2::1/64"]);
}

/// A container is attached through the bridge's present address.
fn another_subnet_is_refused(lab: &Lab) {
    let conf = |subnet: &str| of_subnets(&[subnet], json!({ "isGateway": true }));
    let a = Container::new("a");
    lab.add(&a, &conf("10.1.1.0/24"));
    for subnet in ["10.2.2.0/24", "10.1.0.0/16"] {
        let b = Container::new("b");
        let message = lab.add_fails(&b, &conf(subnet));
        assert!(message.contains(BRIDGE), "{message}");
        assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.1/24"]);
        assert_eq!(a.link("eth0").addresses(), ["10.1.1.2/24"]);
        assert_eq!(lab.taken(), ["10.1.1.2"]);
    }
}

fn another_subnet_with_force(lab: &Lab) {
    let conf = |subnet: &str| {
        of_subnets(
            &[subnet],
            json!({ "isGateway": true, "forceAddress": true }),
        )
    };
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf("10.1.1.0/24"));
    lab.add(&b, &conf("10.2.2.0/24"));
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"]);
    assert_eq!(b.link("eth0").addresses(), ["10.2.2.2/24"]);
    let c = Container::new("c");
    lab.add(&c, &conf("fd00:2::/64"));
    let d = Container::new("d");
    lab.add(&d, &conf("fd00:2::/80"));
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["10.2.2.1/24", "fd00:2::1/80"]);
}

fn overlapping_subnets_of_ipv6(lab: &Lab) {
    let conf = |subnet: &str| of_subnets(&[subnet], json!({ "isGateway": true }));
    let a = Container::new("a");
    lab.add(&a, &conf("fd00:1::/64"));
    for subnet in ["fd00:1::/80", "fd00:1::/48"] {
        lab.add_fails(&Container::new("b"), &conf(subnet));
        assert_eq!(lab.link(BRIDGE).addresses(), ["fd00:1::1/64"]);
        assert_eq!(lab.taken(), ["fd00:1::2"]);
    }
}

fn a_second_family_comes_later(lab: &Lab) {
    let a = Container::new("a");
    lab.add(&a, &ipv4(json!({ "isGateway": true })));
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.1/24"]);
    let b = Container::new("b");
    lab.add(&b, &dual_stack(json!({ "isGateway": true })));
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["10.1.1.1/24", "fd00:1::1/64"]);
    assert_eq!(b.link("eth0").addresses(), ["10.1.1.3/24", "fd00:1::2/64"]);
}
