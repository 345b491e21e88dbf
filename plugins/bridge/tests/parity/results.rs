//! The whole result of ADD, compared with the kernel's state.

use serde_json::{Value, json};

use crate::support::conf::{
    BRIDGE, GATEWAY, GATEWAY6, dual_stack, ipv4, ipv6, layer2, of_subnets, with,
};
use crate::support::lab::{Container, Lab};
use crate::support::side::{Side, both, ours};

both!(
    without_ipam_the_result_has_no_addresses,
    dns_of_the_configuration_replaces_that_of_ipam,
    sandbox_and_interface_keep_the_callers_names,
    without_is_gateway_the_bridge_gets_no_address,
    a_container_has_several_addresses_of_a_family,
    routes_of_ipam_are_passed_on,
);
ours!(version_1_1_0);

/// The interfaces that a result must list: the bridge, the node's end and the container's, with
/// their MACs and, from 1.1.0 on, their MTUs.
#[track_caller]
pub(crate) fn interfaces(lab: &Lab, container: &Container, result: &Value) -> Value {
    let list = result["interfaces"].as_array().unwrap();
    assert_eq!(list.len(), 3, "{result}");
    // The plugin chooses the name of the node's end.
    let veth = lab.link(list[1]["name"].as_str().unwrap());
    let eth0 = container.link("eth0");
    // The peers' indexes show which ends belong together.
    assert_eq!(veth.parent(), Some(eth0.index()));
    assert_eq!(eth0.parent(), Some(veth.index()));
    assert_eq!(veth.master(), Some(BRIDGE));
    let bridge = lab.link(BRIDGE);
    let mut interfaces = json!([
        { "name": BRIDGE, "mac": bridge.mac() },
        { "name": veth.name(), "mac": veth.mac() },
        { "name": "eth0", "mac": eth0.mac(), "sandbox": container.sandbox.path() },
    ]);
    if result["cniVersion"] == "1.1.0" {
        for (index, link) in [bridge, veth, eth0].iter().enumerate() {
            interfaces[index]["mtu"] = json!(link.mtu());
        }
    }
    interfaces
}

/// The reference is so old that its results of 1.0.0 have an empty `dns`.
pub(crate) fn with_empty_dns(lab: &Lab, mut result: Value) -> Value {
    if lab.side == Side::Reference {
        result["dns"] = json!({});
    }
    result
}

/// An ADD of two families with a default route, in a version's shape.
fn shape(lab: &Lab, version: &str) {
    let conf = dual_stack(json!({ "cniVersion": version, "isDefaultGateway": true }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    let defaults = json!([
        { "dst": "0.0.0.0/0", "gw": GATEWAY },
        { "dst": "::/0", "gw": GATEWAY6 },
    ]);
    let expected = match version {
        "0.1.0" | "0.2.0" => json!({
            "cniVersion": version,
            "ip4": { "ip": "10.1.1.2/24", "gateway": GATEWAY, "routes": [defaults[0]] },
            "ip6": { "ip": "fd00:1::2/64", "gateway": GATEWAY6, "routes": [defaults[1]] },
            "dns": {},
        }),
        "0.3.0" | "0.3.1" | "0.4.0" => json!({
            "cniVersion": version,
            "interfaces": interfaces(lab, &container, &result),
            "ips": [
                { "version": "4", "interface": 2, "address": "10.1.1.2/24", "gateway": GATEWAY },
                { "version": "6", "interface": 2, "address": "fd00:1::2/64", "gateway": GATEWAY6 },
            ],
            "routes": defaults,
            "dns": {},
        }),
        _ => with_empty_dns(
            lab,
            json!({
                "cniVersion": version,
                "interfaces": interfaces(lab, &container, &result),
                "ips": [
                    { "interface": 2, "address": "10.1.1.2/24", "gateway": GATEWAY },
                    { "interface": 2, "address": "fd00:1::2/64", "gateway": GATEWAY6 },
                ],
                "routes": defaults,
            }),
        ),
    };
    assert_eq!(result, expected);
    assert_eq!(
        container.link("eth0").addresses(),
        ["10.1.1.2/24", "fd00:1::2/64"]
    );
    assert_eq!(
        container.routes(),
        ["default via 10.1.1.1", "default via fd00:1::1"]
    );
    lab.del(&container, &conf);
    assert_eq!(container.link_names(), ["lo"]);
}

macro_rules! versions {
    ($($test:ident: $version:literal;)*) => {
        both! { $($test: |lab| shape(lab, $version);)* }
    };
}

versions! {
    version_0_1_0: "0.1.0";
    version_0_2_0: "0.2.0";
    version_0_3_0: "0.3.0";
    version_0_3_1: "0.3.1";
    version_0_4_0: "0.4.0";
    version_1_0_0: "1.0.0";
}

fn version_1_1_0(lab: &Lab) {
    shape(lab, "1.1.0");
}

fn without_ipam_the_result_has_no_addresses(lab: &Lab) {
    let container = Container::new("a");
    let result = lab.add(&container, &layer2(json!({})));
    let expected = json!({
        "cniVersion": "1.0.0",
        "interfaces": interfaces(lab, &container, &result),
    });
    assert_eq!(result, with_empty_dns(lab, expected));
}

fn dns_of_the_configuration_replaces_that_of_ipam(lab: &Lab) {
    let dns = json!({
        "nameservers": ["10.1.1.53", "fd00:1::53"],
        "domain": "example.org",
        "search": ["a.example.org", "example.org"],
        "options": ["ndots:5"],
    });
    let container = Container::new("a");
    let result = lab.add(&container, &ipv4(json!({ "dns": dns })));
    assert_eq!(result["dns"], dns);
    let container = Container::new("b");
    let result = lab.add(&container, &layer2(json!({ "dns": dns })));
    assert_eq!(result["dns"], dns);
}

/// The result has the namespace's path and the interface's name as the runtime passed them.
fn sandbox_and_interface_keep_the_callers_names(lab: &Lab) {
    let container = Container::new("a");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sandbox");
    std::os::unix::fs::symlink(container.sandbox.path(), &path).unwrap();
    let call = lab.call("ADD", &container, &ipv6(json!({})));
    let call = call.netns(&path).ifname("net-7.x");
    let result = lab.node.run(&call).success();
    let container_end = &result["interfaces"][2];
    assert_eq!(container_end["sandbox"], path.to_str().unwrap());
    assert_eq!(container_end["name"], "net-7.x");
    let link = container.link("net-7.x");
    assert_eq!(container_end["mac"], link.mac());
    assert_eq!(link.addresses(), ["fd00:1::2/64"]);
    lab.node.run(&call.command("DEL")).silent();
    assert_eq!(container.link_names(), ["lo"]);
}

/// Without `isGateway`, the gateways of IPAM are passed on, and the node is not changed.
fn without_is_gateway_the_bridge_gets_no_address(lab: &Lab) {
    let container = Container::new("a");
    let result = lab.add(&container, &dual_stack(json!({})));
    let expected = json!({
        "cniVersion": "1.0.0",
        "interfaces": interfaces(lab, &container, &result),
        "ips": [
            { "interface": 2, "address": "10.1.1.2/24", "gateway": GATEWAY },
            { "interface": 2, "address": "fd00:1::2/64", "gateway": GATEWAY6 },
        ],
    });
    assert_eq!(result, with_empty_dns(lab, expected));
    assert_eq!(container.routes(), [""; 0]);
    assert_eq!(lab.link(BRIDGE).addresses(), [""; 0]);
}

fn a_container_has_several_addresses_of_a_family(lab: &Lab) {
    let subnets = ["10.1.1.0/24", "10.2.2.0/24"];
    let container = Container::new("a");
    let result = lab.add(&container, &of_subnets(&subnets, json!({})));
    assert_eq!(
        result["ips"],
        json!([
            { "interface": 2, "address": "10.1.1.2/24", "gateway": "10.1.1.1" },
            { "interface": 2, "address": "10.2.2.2/24", "gateway": "10.2.2.1" },
        ])
    );
    assert_eq!(
        container.link("eth0").addresses(),
        ["10.1.1.2/24", "10.2.2.2/24"]
    );
}

/// A route without a next hop leads through its family's gateway; the result has the route as IPAM
/// wrote it.
fn routes_of_ipam_are_passed_on(lab: &Lab) {
    let routes = json!([
        { "dst": "10.9.0.0/16" },
        { "dst": "172.20.0.0/16", "gw": "10.1.1.77" },
        { "dst": "fd00:9::/48" },
        { "dst": "fd00:8::/48", "gw": "fd00:1::77" },
    ]);
    let conf = with(
        dual_stack(json!({})),
        json!({ "ipam": { "routes": routes } }),
    );
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    assert_eq!(result["routes"], routes);
    assert_eq!(
        container.routes(),
        [
            "10.9.0.0/16 via 10.1.1.1",
            "172.20.0.0/16 via 10.1.1.77",
            "fd00:8::/48 via fd00:1::77",
            "fd00:9::/48 via fd00:1::1",
        ]
    );
}
