//! A node with containers at a bridge, a machine outside, and what the tests do there.

#![allow(clippy::restriction, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part of what they share")]

use std::net::SocketAddr;
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::exchange::{self, Server};
use testkit::{Container, Lab, NetNs, Outcome, Side};

pub(crate) use testkit::exchange::Protocol;

/// The node's addresses outside and at the bridge.
pub(crate) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(crate) const GATEWAY: [&str; 2] = ["10.244.1.1", "fd00:10::1"];
pub(crate) const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// The containers' addresses, by container and family.
pub(crate) const PODS: [[&str; 2]; 2] =
    [["10.244.1.2", "fd00:10::2"], ["10.244.1.3", "fd00:10::3"]];

/// The timeout for an answer that should come, and for one that should not.
const TIMEOUT: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(300);

/// A node with bridge cni0, two containers at its ports, and an outside machine, which knows no way
/// to the containers.
pub(crate) struct Lan {
    pub(crate) lab: Lab,
    pub(crate) pods: [Container; 2],
    pub(crate) outside: NetNs,
}

impl Deref for Lan {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Outside,
    Node,
    /// A container, by its number.
    Pod(usize),
}

impl Lan {
    #[track_caller]
    pub(crate) fn new(side: Side) -> Option<Self> {
        let lab = Lab::new(side, "portmap")?;
        let lan = Self {
            lab,
            pods: [Container::new("c1"), Container::new("c2")],
            outside: NetNs::new().unwrap(),
        };
        let node = |args: &str| lan.node.ip(args);
        lan.set("ipv4/ip_forward", "1");
        lan.set("ipv6/conf/all/forwarding", "1");
        node("link add cni0 type bridge");
        node("addr add 10.244.1.1/24 dev cni0");
        node("addr add fd00:10::1/64 dev cni0 nodad");
        node("link set cni0 up");
        for (number, pod) in [1, 2].into_iter().zip(&lan.pods) {
            let netns = pod.sandbox.path();
            let netns = netns.display();
            node(&format!(
                "link add veth{number} master cni0 type veth peer name eth0 netns {netns}"
            ));
            node(&format!("link set veth{number} up"));
            // As the configurations of flannel have it; else a bridge passes no frame back.
            node(&format!(
                "link set veth{number} type bridge_slave hairpin on"
            ));
            let [four, six] = PODS[number - 1];
            pod.ip(&format!("addr add {four}/24 dev eth0"));
            pod.ip(&format!("addr add {six}/64 dev eth0 nodad"));
            pod.ip("link set eth0 up");
            pod.ip("route add default via 10.244.1.1");
            pod.ip("route add default via fd00:10::1");
        }
        let netns = lan.outside.path();
        let netns = netns.display();
        node(&format!(
            "link add wan type veth peer name eth0 netns {netns}"
        ));
        node("addr add 192.0.2.1/24 dev wan");
        node("addr add 2001:db8::1/64 dev wan nodad");
        node("link set wan up");
        lan.outside.ip("addr add 192.0.2.2/24 dev eth0");
        lan.outside.ip("addr add 2001:db8::2/64 dev eth0 nodad");
        lan.outside.ip("link set eth0 up");
        Some(lan)
    }

    /// Changes a kernel setting of the node; `path` is below `/proc/sys/net`.
    #[track_caller]
    pub(crate) fn set(&self, path: &str, value: &str) {
        self.node.write(format!("/proc/sys/net/{path}"), value);
    }

    /// Has netfilter see frames within the bridge, or not. `false` if the kernel cannot.
    pub(crate) fn set_bridge_nf(&self, is_on: bool) -> bool {
        let value = if is_on { "1" } else { "0" };
        let path = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        if !self.node.enter(|| std::path::Path::new(path).exists()) {
            return false;
        }
        self.set("bridge/bridge-nf-call-iptables", value);
        self.set("bridge/bridge-nf-call-ip6tables", value);
        true
    }

    /// The configuration of a container, with what the runtime passes.
    pub(crate) fn conf(&self, pod: usize, mappings: &Value, keys: &Value) -> Value {
        conf_of(&self.pods[pod], PODS[pod], mappings, keys)
    }

    /// An ADD, which succeeds.
    #[track_caller]
    pub(crate) fn map(&self, pod: usize, mappings: &Value) {
        self.map_with(pod, mappings, &json!({}));
    }

    #[track_caller]
    pub(crate) fn map_with(&self, pod: usize, mappings: &Value, keys: &Value) {
        self.add(&self.pods[pod], &self.conf(pod, mappings, keys));
    }

    /// A CHECK with the container's mappings.
    #[track_caller]
    pub(crate) fn checked(&self, pod: usize, mappings: &Value) -> Outcome {
        let conf = self.conf(pod, mappings, &json!({}));
        self.node.run(&self.call("CHECK", &self.pods[pod], &conf))
    }

    /// A DEL as from a runtime that has lost its cache.
    #[track_caller]
    pub(crate) fn unmap(&self, pod: usize) {
        self.unmap_in(pod, "cbr0");
    }

    /// As [`Lan::unmap`], in another network.
    #[track_caller]
    pub(crate) fn unmap_in(&self, pod: usize, network: &str) {
        let conf = json!({"cniVersion": "1.0.0", "name": network, "type": "portmap"});
        self.del(&self.pods[pod], &conf);
    }

    /// The output of `nft list ruleset`, without the addresses that rules have collected.
    #[track_caller]
    pub(crate) fn ruleset(&self) -> String {
        let output = self
            .node
            .enter(|| Command::new("nft").args(["list", "ruleset"]).output());
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a script of `nft` on the node.
    #[track_caller]
    pub(crate) fn nft(&self, script: &str) {
        let output = self
            .node
            .enter(|| Command::new("nft").arg(script).output().unwrap());
        assert!(output.status.success(), "`nft {script}`: {output:?}");
    }

    fn at<T: Send>(&self, place: Place, work: impl FnOnce() -> T + Send) -> T {
        match place {
            Place::Outside => self.outside.enter(work),
            Place::Node => self.node.enter(work),
            Place::Pod(number) => self.pods[number].sandbox.enter(work),
        }
    }

    /// Answers at a port, over both protocols and families, with the place and the address of the
    /// client. The sockets are there when this returns.
    #[track_caller]
    pub(crate) fn serve(&self, place: Place, address: &str, port: u16) {
        let name = match place {
            Place::Outside => "outside".to_owned(),
            Place::Node => "node".to_owned(),
            Place::Pod(number) => format!("c{}", number + 1),
        };
        let bind = || Server::bind(address.parse().unwrap(), port);
        self.at(place, bind).answer(&name);
    }

    /// What a client gets that should be answered.
    #[track_caller]
    pub(crate) fn ask(&self, from: Place, protocol: Protocol, to: &str, port: u16) -> String {
        let answer = self.ask_for(from, protocol, to, port, TIMEOUT);
        answer.unwrap_or_else(|| panic!("{from:?} gets no answer by {protocol:?} from {to}:{port}"))
    }

    /// Whether a client gets an answer that should not.
    pub(crate) fn is_answered(&self, from: Place, protocol: Protocol, to: &str, port: u16) -> bool {
        self.ask_for(from, protocol, to, port, MOMENT).is_some()
    }

    fn ask_for(
        &self,
        from: Place,
        protocol: Protocol,
        to: &str,
        port: u16,
        timeout: Duration,
    ) -> Option<String> {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        self.at(from, || exchange::ask(protocol, to, timeout))
    }
}

pub(crate) fn conf_of(
    pod: &Container,
    addresses: [&str; 2],
    mappings: &Value,
    keys: &Value,
) -> Value {
    let [four, six] = addresses;
    let mut conf = json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "type": "portmap",
        "capabilities": {"portMappings": true},
        "runtimeConfig": {"portMappings": mappings},
        "prevResult": {
            "cniVersion": "1.0.0",
            "interfaces": [
                {"name": "cni0"},
                {"name": "eth0", "sandbox": pod.sandbox.path().to_str().unwrap()},
            ],
            "ips": [
                {"address": format!("{four}/24"), "interface": 1, "gateway": "10.244.1.1"},
                {"address": format!("{six}/64"), "interface": 1, "gateway": "fd00:10::1"},
            ],
        },
    });
    for (key, value) in keys.as_object().unwrap() {
        conf[key] = value.clone();
    }
    conf
}
