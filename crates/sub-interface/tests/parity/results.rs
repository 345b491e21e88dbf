//! The links, addresses and routes of ADD, and its result.

use serde_json::{Value, json};
use testkit::conf::{with, without};
use testkit::wire::{Container, Lab};

use crate::side::both;

both!(
    one_address,
    both_families,
    every_version,
    routes_with_next_hops,
    routes_without_next_hops,
    without_a_gateway,
    master_of_the_default_route,
    mtu,
    resolver_of_the_configuration,
    ipv6_addresses_work_where_the_runtime_has_switched_ipv6_off,
    several_interfaces,
    the_nodes_interface_names_do_not_matter,
);

fn sandbox(container: &Container) -> String {
    container.sandbox.path().to_str().unwrap().to_owned()
}

fn one_address(lab: &Lab) {
    let container = Container::new("a");
    let routes = json!([{ "dst": "0.0.0.0/0" }]);
    let conf = lab.ipv4(json!({ "ipam": { "routes": routes } }));
    let result = lab.add(&container, &conf);
    let (wire, eth0) = (lab.link("wire0"), container.link("eth0"));
    let expected = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{ "name": "eth0", "mac": eth0.mac(), "sandbox": sandbox(&container) }],
        "ips": [{ "interface": 0, "address": "10.1.1.2/24", "gateway": "10.1.1.1" }],
        "routes": routes,
        "dns": {},
    });
    assert_eq!(comparable(result), comparable(expected));
    assert_eq!(eth0.kind(), Some(lab.kind.name));
    assert_eq!(eth0.mode(), Some(lab.kind.default_mode));
    assert_eq!(eth0.parent(), Some(wire.index()));
    assert_eq!(eth0.mtu(), 1500);
    assert!(eth0.has_flag("UP") && eth0.has_flag("LOWER_UP"), "{eth0:?}");
    assert_eq!(eth0.mac() == wire.mac(), lab.kind.name == "ipvlan");
    let address = &eth0.addresses_in_full()[0];
    assert_eq!(address["local"], "10.1.1.2");
    assert_eq!(address["prefixlen"], 24);
    assert_eq!(address["broadcast"], "10.1.1.255");
    assert_eq!(address["valid_life_time"], u32::MAX);
    assert_eq!(
        container.routes_in_full(),
        ["default via 10.1.1.1 dev eth0"]
    );
    assert_eq!(container.setting("ipv4/conf/eth0/arp_notify"), 1);
    // Newer Go plugins set it too.
    let ndisc_notify = container.setting("ipv6/conf/eth0/ndisc_notify");
    assert_eq!(ndisc_notify, lab.side.pick(1, 0));
    assert_eq!(container.link_names(), ["lo", "eth0"]);
    let node = lab.node.ip_json(&["link"]);
    assert_eq!(node.as_array().unwrap().len(), 2, "{node}");
}

/// Some versions omit an empty `dns`.
fn comparable(mut result: Value) -> Value {
    if result["dns"] == json!({}) {
        result.as_object_mut().unwrap().remove("dns");
    }
    result
}

fn both_families(lab: &Lab) {
    let container = Container::new("a");
    let routes = json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }]);
    let conf = lab.dual_stack(json!({ "ipam": { "routes": routes } }));
    let result = lab.add(&container, &conf);
    let ips = json!([
        { "interface": 0, "address": "10.1.1.2/24", "gateway": "10.1.1.1" },
        { "interface": 0, "address": "fd00:1::2/64", "gateway": "fd00:1::1" },
    ]);
    assert_eq!(result["ips"], ips);
    assert_eq!(result["routes"], routes);
    let eth0 = container.link("eth0");
    assert_eq!(eth0.addresses(), ["10.1.1.2/24", "fd00:1::2/64"]);
    let expected = [
        "default via 10.1.1.1 dev eth0",
        "default via fd00:1::1 dev eth0",
    ];
    assert_eq!(container.routes_in_full(), expected);
    // Newer Go plugins set it too.
    let keep_addr = container.setting("ipv6/conf/eth0/keep_addr_on_down");
    assert_eq!(keep_addr, lab.side.pick(1, 0));
}

fn every_version(lab: &Lab) {
    for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"] {
        let container = Container::new(version);
        let routes = json!([{ "dst": "0.0.0.0/0" }]);
        let conf = lab.ipv4(json!({ "cniVersion": version, "ipam": { "routes": routes } }));
        let result = comparable(lab.add(&container, &conf));
        let eth0 = container.link("eth0");
        let expected = match version {
            "0.1.0" | "0.2.0" => json!({
                "cniVersion": version,
                "ip4": { "ip": eth0.addresses()[0], "gateway": "10.1.1.1", "routes": routes },
            }),
            _ => {
                let interface =
                    json!({ "name": "eth0", "mac": eth0.mac(), "sandbox": sandbox(&container) });
                let mut ip = json!({
                    "interface": 0,
                    "address": eth0.addresses()[0],
                    "gateway": "10.1.1.1",
                });
                if version != "1.0.0" {
                    ip["version"] = "4".into();
                }
                json!({
                    "cniVersion": version,
                    "interfaces": [interface],
                    "ips": [ip],
                    "routes": routes,
                })
            }
        };
        assert_eq!(result, expected);
    }
}

fn routes_with_next_hops(lab: &Lab) {
    let container = Container::new("a");
    let routes = json!([
        { "dst": "10.9.0.0/16", "gw": "10.1.1.77" },
        { "dst": "fd00:9::/48", "gw": "fd00:1::77" },
        { "dst": "10.8.0.0/16" },
    ]);
    let result = lab.add(
        &container,
        &lab.dual_stack(json!({ "ipam": { "routes": routes } })),
    );
    assert_eq!(result["routes"], routes);
    let expected = [
        "10.8.0.0/16 via 10.1.1.1 dev eth0",
        "10.9.0.0/16 via 10.1.1.77 dev eth0",
        "fd00:9::/48 via fd00:1::77 dev eth0",
    ];
    assert_eq!(container.routes_in_full(), expected);
}

fn routes_without_next_hops(lab: &Lab) {
    let container = Container::new("a");
    let ipam = lab.install("scripted");
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.7/24" }, { "address": "fd00:1::7/64" }],
        "routes": [{ "dst": "10.9.0.0/16" }, { "dst": "fd00:9::/48" }],
    });
    ipam.on("ADD").stdout(answer.to_string());
    lab.add(&container, &lab.scripted(json!({})));
    let expected = ["10.9.0.0/16 dev eth0", "fd00:9::/48 dev eth0"];
    assert_eq!(container.routes_in_full(), expected);
}

/// The first address with a gateway gives the next hop.
fn without_a_gateway(lab: &Lab) {
    let container = Container::new("a");
    let ipam = lab.install("scripted");
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [
            { "address": "10.1.1.7/24" },
            { "address": "10.1.2.7/24", "gateway": "10.1.2.1" },
            { "address": "10.1.3.7/32", "gateway": "10.1.3.1" },
        ],
        "routes": [{ "dst": "0.0.0.0/0" }],
    });
    ipam.on("ADD").stdout(answer.to_string());
    lab.add(&container, &lab.scripted(json!({})));
    assert_eq!(
        container.routes_in_full(),
        ["default via 10.1.2.1 dev eth0"]
    );
    let addresses = container.link("eth0").addresses();
    assert_eq!(addresses, ["10.1.1.7/24", "10.1.2.7/24", "10.1.3.7/32"]);
}

fn master_of_the_default_route(lab: &Lab) {
    lab.ip("link add other0 type veth peer name other1");
    let container = Container::new("a");
    let conf = without(lab.ipv4(json!({})), "master");
    lab.add(&container, &conf);
    let parent = container.link("eth0").parent();
    assert_eq!(parent, Some(lab.link("wire0").index()));
    let other = Container::new("b");
    lab.add(&other, &with(conf, json!({ "master": "" })));
    assert_eq!(other.link("eth0").parent(), parent);
}

fn mtu(lab: &Lab) {
    lab.ip("link set wire0 mtu 1450");
    for (id, mtu, expected) in [("a", 0, 1450), ("b", 1400, 1400), ("c", 1450, 1450)] {
        let container = Container::new(id);
        lab.add(&container, &lab.ipv4(json!({ "mtu": mtu })));
        assert_eq!(container.link("eth0").mtu(), expected, "mtu {mtu}");
    }
}

fn resolver_of_the_configuration(lab: &Lab) {
    let container = Container::new("a");
    let dns = json!({
        "nameservers": ["10.1.1.53"],
        "domain": "example.org",
        "search": ["example.org"],
        "options": ["ndots:5"],
    });
    let result = lab.add(&container, &lab.ipv4(json!({ "dns": dns })));
    assert_eq!(result["dns"], dns);
}

fn ipv6_addresses_work_where_the_runtime_has_switched_ipv6_off(lab: &Lab) {
    let container = Container::new("a");
    container.set("ipv6/conf/all/disable_ipv6", "1");
    container.set("ipv6/conf/default/disable_ipv6", "1");
    lab.add(&container, &lab.dual_stack(json!({})));
    let eth0 = container.link("eth0");
    assert_eq!(eth0.addresses(), ["10.1.1.2/24", "fd00:1::2/64"]);
    for name in ["lo", "eth0"] {
        let setting = format!("ipv6/conf/{name}/disable_ipv6");
        assert_eq!(container.setting(&setting), 0, "{name}");
    }
    // Without IPv6 addresses, IPv6 stays off.
    let other = Container::new("b");
    other.set("ipv6/conf/default/disable_ipv6", "1");
    lab.add(&other, &lab.ipv4(json!({})));
    assert_eq!(other.setting("ipv6/conf/eth0/disable_ipv6"), 1);
}

fn several_interfaces(lab: &Lab) {
    let container = Container::new("a");
    let conf = lab.ipv4(json!({}));
    lab.add(&container, &conf);
    let second = lab.call("ADD", &container, &conf).ifname("net1");
    lab.node.run(&second).success();
    assert_eq!(container.link("eth0").addresses(), ["10.1.1.2/24"]);
    assert_eq!(container.link("net1").addresses(), ["10.1.1.3/24"]);
    lab.node.run(&second.command("DEL")).silent();
    assert_eq!(container.link_names(), ["lo", "eth0"]);
    assert_eq!(lab.taken(), ["10.1.1.2"]);
}

fn the_nodes_interface_names_do_not_matter(lab: &Lab) {
    let container = Container::new("a");
    let call = lab.call("ADD", &container, &lab.ipv4(json!({})));
    let call = call.ifname("wire0");
    let result = lab.node.run(&call).success();
    assert_eq!(result["interfaces"][0]["name"], "wire0");
    assert_eq!(container.link_names(), ["lo", "wire0"]);
    assert_eq!(container.link("wire0").addresses(), ["10.1.1.2/24"]);
    lab.node.run(&call.command("DEL")).silent();
    assert_eq!(container.link_names(), ["lo"]);
    assert!(lab.link("wire0").has_flag("UP"));
}
