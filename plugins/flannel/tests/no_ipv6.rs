//! flannel with each delegate on a node whose kernel has no IPv6. All plugins are those under test.

#![allow(clippy::restriction, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part of what they share")]

#[path = "support/lease.rs"]
mod lease;

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::requirements::{require_root, skip_for_kernel};
use testkit::{Invocation, NetNs, Node, Outcome, binaries};

use crate::lease::{DUAL_STACK, Lease, ONLY_IPV4};

/// A machine at the other end of the node's wire. It has no route to containers.
const OUTSIDE: &str = "198.51.100.2";

/// A node with a wire to that machine.
struct Lab {
    node: Node,
    outside: NetNs,
    delegate: &'static str,
}

impl Lab {
    /// `None`, reported as a skip, without root or if the kernel has IPv6.
    #[track_caller]
    fn new(delegate: &'static str, lease: Lease) -> Option<Self> {
        if !require_root() {
            return None;
        }
        if Path::new("/proc/sys/net/ipv6").exists() {
            skip_for_kernel("IPv6 switched off (ipv6.disable=1)");
            return None;
        }
        let node = Node::new().unwrap();
        let outside = NetNs::new().unwrap();
        node.write("/run/flannel/subnet.env", lease.subnet_env());
        let netns = outside.path();
        node.ip(&format!(
            "link add wire0 type veth peer name wire1 netns {}",
            netns.display()
        ));
        node.ip("link set wire0 up");
        node.ip("address add 198.51.100.1/24 dev wire0");
        outside.ip("link set wire1 up");
        outside.ip("address add 198.51.100.2/24 dev wire1");
        node.ip("route add default via 198.51.100.2");
        Some(Self {
            node,
            outside,
            delegate,
        })
    }

    #[track_caller]
    fn call(
        &self,
        command: &str,
        container: &str,
        sandbox: &NetNs,
        result: Option<&Value>,
    ) -> Outcome {
        let mut netconf = json!({
            "cniVersion": "1.0.0",
            "name": "cbr0",
            "type": "flannel",
            "delegate": { "type": self.delegate },
        });
        if self.delegate == "bridge" {
            netconf["delegate"]["isDefaultGateway"] = true.into();
            netconf["delegate"]["ipMasq"] = true.into();
        }
        if let Some(result) = result {
            netconf["prevResult"] = result.clone();
        }
        let call = Invocation::attach(binaries::plugin("flannel"), command, container)
            .netns(sandbox.path())
            .config(&netconf);
        self.node.run(&call)
    }

    #[track_caller]
    fn assert_nothing_left(&self, sandboxes: &[&NetNs]) {
        for sandbox in sandboxes {
            assert_eq!(names(&sandbox.ip_json(&["link"])), ["lo"]);
        }
        assert_eq!(self.node.list("/var/lib/cni/flannel"), [""; 0]);
        let mut noted = self.node.list("/var/lib/cni/networks/cbr0");
        noted.retain(|name| name.parse::<IpAddr>().is_ok());
        assert_eq!(noted, [""; 0]);
    }
}

fn names(links: &Value) -> Vec<&str> {
    let links = links.as_array().unwrap().iter();
    links.map(|link| link["ifname"].as_str().unwrap()).collect()
}

#[track_caller]
fn reaches(sandbox: &NetNs, to: &str) -> bool {
    let mut ping = Command::new("ping");
    ping.args(["-n", "-q", "-c1", "-W5", to]);
    sandbox.command(&mut ping).status.success()
}

fn come_and_go(delegate: &'static str) {
    let Some(lab) = Lab::new(delegate, ONLY_IPV4) else {
        return;
    };
    let (a, b) = (NetNs::new().unwrap(), NetNs::new().unwrap());
    let result_a = lab.call("ADD", "a", &a, None).success();
    let result_b = lab.call("ADD", "b", &b, None).success();
    assert_eq!(result_a["ips"][0]["address"], "10.244.1.2/24", "{result_a}");
    assert_eq!(result_b["ips"][0]["address"], "10.244.1.3/24", "{result_b}");
    assert!(reaches(&a, "10.244.1.3"));
    assert!(reaches(&b, "10.244.1.2"));
    if delegate == "bridge" {
        // The machine only knows the node's address, which masqueraded packets have.
        assert!(reaches(&a, OUTSIDE));
    }
    lab.call("CHECK", "a", &a, Some(&result_a)).silent();
    for (id, sandbox) in [("a", &a), ("b", &b)] {
        lab.call("DEL", id, sandbox, None).silent();
    }
    lab.assert_nothing_left(&[&a, &b]);
}

#[test]
fn bridge() {
    come_and_go("bridge");
}

#[test]
fn ipvlan() {
    come_and_go("ipvlan");
}

#[test]
fn macvlan() {
    come_and_go("macvlan");
}

#[test]
fn a_lease_with_ipv6_is_an_error_and_leaves_nothing() {
    for delegate in ["bridge", "ipvlan", "macvlan"] {
        let Some(lab) = Lab::new(delegate, DUAL_STACK) else {
            return;
        };
        let a = NetNs::new().unwrap();
        let outcome = lab.call("ADD", "a", &a, None);
        let failure = outcome.failure();
        let expected = format!(
            "{delegate}: ipam: address fd00:10:244:1::2/64 cannot be used: \
             the kernel has no IPv6: /proc/sys/net/ipv6/conf/eth0/disable_ipv6 does not exist"
        );
        assert_eq!((failure.code, failure.msg), (7, expected), "{outcome}");
        lab.assert_nothing_left(&[&a]);
        assert_eq!(names(&lab.node.ip_json(&["link"])), ["lo", "wire0"]);
    }
}
