//! The state of an attached container: its result, its namespace, the node and the node's disk.

use serde_json::{Value, json};

use crate::lab::{BRIDGE, Container, Delegates, Lab, NETWORK, SCRATCH};
use crate::lease::{Lease, MTU};

/// Asserts the whole state of the `eth0` of a container with address `number` of the lease.
#[track_caller]
pub(crate) fn assert_attached(
    lab: &Lab,
    container: &Container,
    lease: Lease,
    number: u8,
    result: &Value,
) {
    assert_result(lab, container, lease, number, result);
    assert_inside(container, lease, number);
    let veth = result["interfaces"][1]["name"].as_str().unwrap();
    let port = lab.node.ip_json(&["-d", "link", "show", "dev", veth]);
    assert_eq!(port[0]["master"], BRIDGE, "{port}");
    assert_eq!(
        port[0]["linkinfo"]["info_slave_data"]["hairpin"], true,
        "{port}"
    );
    assert_eq!(port[0]["mtu"], MTU, "{port}");
    assert_gateway(lab, lease);
    assert_kept(
        lab,
        container,
        lease,
        result["cniVersion"].as_str().unwrap(),
    );
}

fn assert_result(lab: &Lab, container: &Container, lease: Lease, number: u8, result: &Value) {
    let version = &result["cniVersion"];
    let has_ip_version = version == "0.3.1" || version == "0.4.0";
    let ips = lease.0.iter().map(|family| {
        let mut ip = json!({
            "interface": 2,
            "address": format!("{}/{}", family.host(number), family.prefix_length),
            "gateway": family.gateway,
        });
        if has_ip_version {
            ip["version"] = family.version.into();
        }
        ip
    });
    let networks = lease.0.iter().map(|family| json!({"dst": family.network}));
    let defaults = lease.0.iter();
    let defaults = defaults.map(|family| json!({"dst": family.everything, "gw": family.gateway}));

    // bridge chooses the name of the node's end.
    let veth = result["interfaces"][1]["name"].as_str().unwrap();
    let on_node = |name: &str| mac(&lab.node.ip_json(&["link", "show", "dev", name]));
    let eth0 = mac(&container.sandbox.ip_json(&["link", "show", "dev", "eth0"]));
    let mut expected = json!({
        "cniVersion": version,
        "interfaces": [
            {"name": BRIDGE, "mac": on_node(BRIDGE)},
            {"name": veth, "mac": on_node(veth)},
            {"name": "eth0", "mac": eth0, "sandbox": container.sandbox.path()},
        ],
        "ips": ips.collect::<Vec<_>>(),
        "routes": networks.chain(defaults).collect::<Vec<_>>(),
    });
    if version == "1.1.0" {
        for interface in expected["interfaces"].as_array_mut().unwrap() {
            interface["mtu"] = json!(MTU);
        }
    }
    // From 1.0.0 on, ours omit an empty `dns`; Debian's plugins never do.
    if lab.delegates == Delegates::Debians || has_ip_version {
        expected["dns"] = json!({});
    }
    assert_eq!(*result, expected);
}

fn mac(links: &Value) -> Value {
    links[0]["address"].clone()
}

#[track_caller]
fn assert_inside(container: &Container, lease: Lease, number: u8) {
    assert_eq!(container.link_names(), ["lo", "eth0"]);
    let eth0 = container.sandbox.ip_json(&["addr", "show", "dev", "eth0"]);
    assert_eq!(eth0[0]["mtu"], MTU);
    let flags = eth0[0]["flags"].as_array().unwrap();
    assert!(flags.contains(&json!("LOWER_UP")), "{eth0}");
    let expected: Vec<_> = lease
        .0
        .iter()
        .map(|family| (family.host(number), family.prefix_length))
        .collect();
    assert_eq!(global_addresses(&eth0), expected);

    for family in lease.0 {
        let option = format!("-{}", family.version);
        let routes = container.sandbox.ip_json(&[&option, "route"]);
        let route = |dst: &str, gateway: Option<&str>| {
            (
                dst.to_owned(),
                gateway.map(str::to_owned),
                "eth0".to_owned(),
            )
        };
        let mut expected = [
            route("default", Some(family.gateway)),
            route(family.network, Some(family.gateway)),
            route(family.subnet, None),
        ];
        expected.sort();
        assert_eq!(global_routes(&routes), expected);
    }
}

/// The addresses with their prefix lengths, without the kernel's link-local ones.
fn global_addresses(link: &Value) -> Vec<(String, u8)> {
    let addresses = link[0]["addr_info"].as_array().unwrap().iter();
    let global = addresses.filter(|address| address["scope"] == "global");
    global
        .map(|address| {
            let length = address["prefixlen"].as_u64().unwrap();
            let local = address["local"].as_str().unwrap().to_owned();
            (local, length.try_into().unwrap())
        })
        .collect()
}

/// The routes as destination, gateway and device, without those of the link-local network.
fn global_routes(routes: &Value) -> Vec<(String, Option<String>, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut routes: Vec<_> = routes
        .as_array()
        .unwrap()
        .iter()
        .filter(|route| route["dst"] != "fe80::/64")
        .map(|route| {
            let (dst, dev) = (text(&route["dst"]), text(&route["dev"]));
            (dst.unwrap(), text(&route["gateway"]), dev.unwrap())
        })
        .collect();
    routes.sort();
    routes
}

#[track_caller]
fn assert_gateway(lab: &Lab, lease: Lease) {
    let bridge = lab.node.ip_json(&["addr", "show", "dev", BRIDGE]);
    let expected = lease
        .0
        .iter()
        .map(|family| (family.gateway.to_owned(), family.prefix_length));
    assert_eq!(global_addresses(&bridge), expected.collect::<Vec<_>>());
    assert_eq!(bridge[0]["mtu"], MTU);
}

/// The kept configuration is the delegate's, with the owner's keys.
#[track_caller]
fn assert_kept(lab: &Lab, container: &Container, lease: Lease, version: &str) {
    let kept: Value =
        serde_json::from_str(&lab.node.read(format!("{SCRATCH}/{}", container.id))).unwrap();
    let ranges = lease
        .0
        .iter()
        .map(|family| json!([{"subnet": family.subnet}]));
    let routes = lease.0.iter().map(|family| json!({"dst": family.network}));
    let expected = json!({
        "cniVersion": version,
        "name": NETWORK,
        "type": "bridge",
        "hairpinMode": true,
        "isDefaultGateway": true,
        "isGateway": true,
        "ipMasq": false,
        "mtu": MTU,
        "ipam": {
            "type": "host-local",
            "ranges": ranges.collect::<Vec<_>>(),
            "routes": routes.collect::<Vec<_>>(),
        },
        "twill/ifname": "eth0",
    });
    assert_eq!(kept, expected);
}

/// The files of host-local are those of these containers, with addresses 2, 3… of the lease in this
/// order.
#[track_caller]
pub(crate) fn assert_addresses(lab: &Lab, lease: Lease, containers: &[&Container]) {
    let mut expected = vec![("lock".to_owned(), String::new())];
    for (container, number) in containers.iter().zip(2..) {
        for address in lease.host(number) {
            expected.push((address, format!("{}\r\neth0", container.id)));
        }
    }
    let last = u8::try_from(containers.len()).unwrap() + 1;
    for (set, address) in lease.host(last).into_iter().enumerate() {
        expected.push((format!("last_reserved_ip.{set}"), address));
    }
    expected.sort();
    assert_eq!(lab.address_files(NETWORK), expected);
}

/// Nothing of these containers exists any more, except the bridge.
#[track_caller]
pub(crate) fn assert_nothing_left(lab: &Lab, containers: &[&Container]) {
    assert_eq!(lab.links(), ["lo", BRIDGE]);
    for container in containers {
        assert_eq!(container.link_names(), ["lo"]);
    }
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.kept(), [""; 0]);
}
