//! flannel with ipvlan and macvlan as delegates, which share a link of the node. All plugins are
//! those under test, except in tests with Debian's.

#![allow(clippy::restriction, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part of what they share")]

#[path = "support/lease.rs"]
mod lease;

use std::process::Command;

use serde_json::{Value, json};
use testkit::requirements::{REFERENCE_DIR, require_reference, require_root, skip_for_kernel};
use testkit::traffic::{assert_reaches, pings};
use testkit::{Container, Invocation, Node, binaries};

use crate::lease::{DUAL_STACK, Lease, MTU, ONLY_IPV4};

const NETWORK: &str = "cbr0";
const MASTER: &str = "wire0";
const SCRATCH: &str = "/var/lib/cni/flannel";
const ADDRESSES: &str = "/var/lib/cni/networks/cbr0";

/// Defines a test per kind of link, mode and lease.
macro_rules! share {
    ($($test:ident: $delegate:literal, $mode:literal, $lease:expr;)*) => {$(
        #[test]
        fn $test() {
            come_and_go($delegate, $mode, $lease);
        }
    )*};
}

share! {
    ipvlan_l2: "ipvlan", "l2", DUAL_STACK;
    ipvlan_l3: "ipvlan", "l3", DUAL_STACK;
    ipvlan_l3s: "ipvlan", "l3s", ONLY_IPV4;
    macvlan_bridge: "macvlan", "bridge", DUAL_STACK;
    macvlan_bridge_ipv4: "macvlan", "bridge", ONLY_IPV4;
}

fn come_and_go(delegate: &str, mode: &str, lease: Lease) {
    let Some(lab) = Lab::new(delegate, mode, lease) else {
        return;
    };
    let before = lab.network();
    let (a, b) = (Container::new("a"), Container::new("b"));
    let result_a = lab.add(&a);
    let result_b = lab.add(&b);
    for (container, result, number) in [(&a, &result_a, 2), (&b, &result_b, 3)] {
        lab.assert_attached(container, result, number);
    }
    assert_eq!(lab.kept(), ["a", "b"]);
    assert_eq!(lab.taken(), [lease.host(2), lease.host(3)].concat());
    // The whole state of the containers is in these.
    assert_eq!(lab.network(), before);

    for family in lease.0 {
        assert_reaches(&a, &family.host(3));
        assert_reaches(&b, &family.host(2));
    }
    lab.check(&a, &result_a);
    lab.check(&b, &result_b);

    lab.del(&a);
    assert_eq!(a.link_names(), ["lo"]);
    assert_eq!(lab.kept(), ["b"]);
    assert_eq!(lab.taken(), lease.host(3));
    assert!(!pings(&b, &["-W1", &lease.0[0].host(2)]));
    lab.check(&b, &result_b);
    lab.del(&b);
    lab.assert_nothing_left(&before, &[&a, &b]);
    lab.del(&b);
    lab.assert_nothing_left(&before, &[&a, &b]);
}

#[test]
fn check_with_debians_macvlan_accepts_a_healthy_container() {
    for lease in [DUAL_STACK, ONLY_IPV4] {
        check_debians("macvlan", "bridge", lease, Some(MASTER));
    }
    check_debians("macvlan", "bridge", ONLY_IPV4, None);
}

#[test]
fn check_with_debians_ipvlan_accepts_a_healthy_container() {
    check_debians("ipvlan", "l2", DUAL_STACK, Some(MASTER));
    check_debians("ipvlan", "l2", ONLY_IPV4, None);
}

/// CHECK succeeds with the result of ADD, although these plugins look for a route without a next
/// hop literally, and ipvlan needs the master that it found by itself on ADD.
fn check_debians(delegate: &str, mode: &str, lease: Lease, master: Option<&str>) {
    for name in [delegate, "host-local"] {
        if require_reference(name).is_none() {
            return;
        }
    }
    let Some(lab) = Lab::new(delegate, mode, lease) else {
        return;
    };
    let before = lab.network();
    let container = Container::new("a");
    let mut netconf = lab.netconf();
    netconf["delegate"]["master"] = json!(master);
    let call = |command: &str, netconf: &Value| {
        let call = lab.call(command, &container, netconf);
        lab.node.run(&call.path(REFERENCE_DIR))
    };
    let result = call("ADD", &netconf).success();
    lab.assert_attached(&container, &result, 2);
    let mut with_result = netconf.clone();
    with_result["prevResult"] = result;
    call("CHECK", &with_result).silent();

    container.sandbox.ip("route flush 10.244.0.0/16");
    if delegate == "ipvlan" && master.is_none() {
        // The plugin fails before it compares the routes.
        call("CHECK", &with_result).silent();
    } else {
        let failure = call("CHECK", &with_result).failure();
        assert_eq!(failure.code, 999, "{failure:?}");
        assert!(failure.msg.contains("Expected Route"), "{failure:?}");
    }
    // A later plugin of the list may have added an interface.
    let interfaces = with_result["prevResult"]["interfaces"].as_array_mut();
    interfaces.unwrap().push(json!({"name": "bwp1"}));
    call("DEL", &with_result).silent();
    lab.assert_nothing_left(&before, &[&container]);
}

#[test]
fn del_with_debians_macvlan_works_without_the_master() {
    for change in ["link del wire0", "link set wire0 mtu 1400"] {
        delete_without_master("macvlan", "bridge", Some(MASTER), change);
    }
    delete_without_master("macvlan", "bridge", None, "route del default");
}

#[test]
fn del_with_debians_ipvlan_works_without_the_master() {
    delete_without_master("ipvlan", "l2", Some(MASTER), "link del wire0");
    delete_without_master("ipvlan", "l2", None, "route del default");
}

/// These plugins fail before they release anything if the master has changed since the ADD.
fn delete_without_master(delegate: &str, mode: &str, master: Option<&str>, change: &str) {
    for name in [delegate, "host-local"] {
        if require_reference(name).is_none() {
            return;
        }
    }
    let Some(lab) = Lab::new(delegate, mode, DUAL_STACK) else {
        return;
    };
    let containers = [
        Container::new("a"),
        Container::new("b"),
        Container::new("c"),
    ];
    let mut netconf = lab.netconf();
    netconf["delegate"]["master"] = json!(master);
    let run = |command: &str, container: &Container, netconf: &Value| {
        let call = lab.call(command, container, netconf);
        lab.node.run(&call.path(REFERENCE_DIR))
    };
    let results = containers
        .each_ref()
        .map(|container| run("ADD", container, &netconf).success());
    lab.ip(change).unwrap();
    let before = lab.network();
    let [a, b, c] = &containers;

    let mut with_result = netconf.clone();
    with_result["prevResult"] = results[0].clone();
    run("DEL", a, &with_result).silent();
    assert_eq!(a.link_names(), ["lo"], "{change}");
    assert_eq!(lab.kept(), ["b", "c"], "{change}");
    let of_the_others = [DUAL_STACK.host(3), DUAL_STACK.host(4)].concat();
    assert_eq!(lab.taken(), of_the_others, "{change}");
    // A DEL of a runtime that has lost the result and the namespace.
    let call = lab.call("DEL", b, &netconf).netns("").path(REFERENCE_DIR);
    lab.node.run(&call).silent();
    assert_eq!(lab.taken(), DUAL_STACK.host(4), "{change}");

    netconf["cniVersion"] = "1.1.0".into();
    netconf["cni.dev/valid-attachments"] = json!([]);
    let call = lab.call("GC", c, &netconf).path(REFERENCE_DIR);
    lab.node.run(&call).silent();
    lab.assert_nothing_left(&before, &[]);
}

/// A node with a lease, and a wire that has its default route.
struct Lab {
    node: Node,
    delegate: String,
    mode: String,
    lease: Lease,
}

impl Lab {
    /// `None`, reported as a skip, without root or if the kernel lacks the delegate's kind of link.
    #[track_caller]
    fn new(delegate: &str, mode: &str, lease: Lease) -> Option<Self> {
        if !require_root() {
            return None;
        }
        let lab = Self {
            node: Node::new().unwrap(),
            delegate: delegate.to_owned(),
            mode: mode.to_owned(),
            lease,
        };
        // The kernel is busy until duplicate address detection on the wire is complete.
        lab.node
            .write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        lab.node
            .write("/run/flannel/subnet.env", lease.subnet_env());
        for args in [
            "link add wire0 type veth peer name wire1",
            "link set wire1 up",
            "link set wire0 up",
            "address add 198.51.100.1/24 dev wire0",
            "route add default via 198.51.100.2",
        ] {
            lab.ip(args).unwrap();
        }
        let probe = format!("link add probe0 link {MASTER} type {delegate}");
        match lab.ip(&probe) {
            Ok(()) => lab.ip("link del probe0").unwrap(),
            Err(said) if said.contains("Unknown device type") => {
                skip_for_kernel(delegate);
                return None;
            }
            Err(said) => panic!("ip {probe}: {said}"),
        }
        Some(lab)
    }

    /// Runs `ip` on the node, and fails with its output.
    fn ip(&self, args: &str) -> Result<(), String> {
        let mut ip = Command::new("ip");
        let output = self.node.enter(|| ip.args(args.split(' ')).output());
        let output = output.expect("`ip` can be run (Debian package iproute2)");
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn netconf(&self) -> Value {
        json!({
            "cniVersion": "1.0.0",
            "name": NETWORK,
            "type": "flannel",
            "delegate": { "type": self.delegate, "master": MASTER, "mode": self.mode },
        })
    }

    #[track_caller]
    fn call(&self, command: &str, container: &Container, netconf: &Value) -> Invocation {
        Invocation::attach(binaries::plugin("flannel"), command, &container.id)
            .netns(container.sandbox.path())
            .config(netconf)
    }

    #[track_caller]
    fn add(&self, container: &Container) -> Value {
        let call = self.call("ADD", container, &self.netconf());
        self.node.run(&call).success()
    }

    /// CHECK succeeds, and fails once an address file is missing.
    #[track_caller]
    fn check(&self, container: &Container, result: &Value) {
        let mut netconf = self.netconf();
        netconf["prevResult"] = result.clone();
        let call = self.call("CHECK", container, &netconf);
        self.node.run(&call).silent();

        let (address, _) = result["ips"][0]["address"]
            .as_str()
            .and_then(|address| address.split_once('/'))
            .unwrap();
        let file = format!("{ADDRESSES}/{address}");
        let contents = self.node.read(&file);
        self.node.enter(|| std::fs::remove_file(&file)).unwrap();
        let failure = self.node.run(&call).failure();
        assert_eq!(failure.code, 120, "{failure:?}");
        self.node.write(&file, contents);
        self.node.run(&call).silent();
    }

    #[track_caller]
    fn del(&self, container: &Container) {
        let call = self.call("DEL", container, &self.netconf());
        self.node.run(&call).silent();
    }

    /// The container has address `number` of the lease, in its result and its namespace, on a link
    /// of the right kind.
    #[track_caller]
    fn assert_attached(&self, container: &Container, result: &Value, number: u8) {
        let lease = self.lease.0.iter();
        let expected: Vec<Value> = lease
            .map(|family| {
                json!({
                    "interface": 0,
                    "address": format!("{}/{}", family.host(number), family.prefix_length),
                    "gateway": family.gateway,
                })
            })
            .collect();
        assert_eq!(result["ips"], json!(expected));
        let networks = self.lease.0.iter();
        let routes: Vec<Value> = networks
            .map(|family| json!({ "dst": family.network }))
            .collect();
        assert_eq!(result["routes"], json!(routes));

        let eth0 = container
            .sandbox
            .ip_json(&["-d", "address", "show", "eth0"]);
        let expected = json!([{
            "name": "eth0",
            "mac": eth0[0]["address"],
            "sandbox": container.sandbox.path(),
        }]);
        assert_eq!(result["interfaces"], expected);
        let info = &eth0[0]["linkinfo"];
        assert_eq!(info["info_kind"], self.delegate, "{eth0}");
        assert_eq!(info["info_data"]["mode"], self.mode, "{eth0}");
        assert_eq!(eth0[0]["mtu"], MTU, "{eth0}");
        let all = eth0[0]["addr_info"].as_array().unwrap().iter();
        let addresses: Vec<&str> = all
            .filter(|address| address["scope"] == "global")
            .map(|address| address["local"].as_str().unwrap())
            .collect();
        assert_eq!(addresses, self.lease.host(number));
        for family in self.lease.0 {
            let option = format!("-{}", family.version);
            let args = [&option, "route", "show", family.network];
            let route = container.sandbox.ip_json(&args);
            assert_eq!(route[0]["gateway"], family.gateway, "{route}");
        }
    }

    #[track_caller]
    fn assert_nothing_left(&self, before: &[String], containers: &[&Container]) {
        assert_eq!(self.network(), before);
        for container in containers {
            assert_eq!(container.link_names(), ["lo"]);
        }
        assert_eq!(self.taken(), [""; 0]);
        assert_eq!(self.kept(), [""; 0]);
    }

    /// The node's links, addresses and routes, without those that the kernel adds when a link gets
    /// a carrier.
    #[track_caller]
    fn network(&self) -> Vec<String> {
        let mut message = Vec::new();
        for link in self.node.ip_json(&["address"]).as_array().unwrap() {
            message.push(link["ifname"].to_string());
            let addresses = link["addr_info"].as_array().unwrap().iter();
            let own = addresses.filter(|address| address["scope"] != "link");
            message.extend(own.map(|address| address["local"].to_string()));
        }
        for family in ["-4", "-6"] {
            let routes = self
                .node
                .ip_json(&[family, "route", "show", "table", "all"]);
            let routes = routes.as_array().unwrap().iter();
            let routes = routes
                .map(|route| format!("{} {} {}", route["dst"], route["gateway"], route["dev"]));
            message.extend(
                routes.filter(|route| !route.contains("fe80:") && !route.contains("ff00:")),
            );
        }
        message
    }

    /// The addresses that host-local has allocated, IPv4 first.
    #[track_caller]
    fn taken(&self) -> Vec<String> {
        let names = self.node.list(ADDRESSES).into_iter();
        let mut names: Vec<String> = names
            .filter(|name| name.parse::<std::net::IpAddr>().is_ok())
            .collect();
        // In the order of `Lease::host`: by host, then by family.
        names.sort_by_key(|name| (name.chars().last(), name.contains(':')));
        names
    }

    /// The configurations that flannel has kept.
    #[track_caller]
    fn kept(&self) -> Vec<String> {
        let names = self.node.list(SCRATCH).into_iter();
        let mut kept: Vec<String> = names.filter(|name| name != ".attachments").collect();
        kept.extend(self.node.list(format!("{SCRATCH}/.attachments")));
        kept
    }
}
