//! What the kernel has after each change, read back with iproute2, in namespaces of the tests' own.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod address;
mod link;
mod namespace;
mod netfilter;
mod observed;
mod removal;
mod route;
mod sub_interface;
mod sysctl;
mod vlan;
mod wait;

use std::process::Command;

use netlink::{Link, Mac, Netns, NewLink, NewPeer, NewVeth, Rtnetlink};
use serde_json::Value;
use testkit::NetNs;

const BRIDGE_MAC: Mac = Mac([0x0a, 0x58, 0x0a, 0xf4, 0x01, 0x01]);

/// A node's namespace and a container's.
struct Pair {
    host: NetNs,
    container: NetNs,
}

impl Pair {
    /// `None` if the test is skipped.
    #[track_caller]
    fn new() -> Option<Self> {
        testkit::requirements::require_root().then(|| Self {
            host: NetNs::new().unwrap(),
            container: NetNs::new().unwrap(),
        })
    }

    /// Runs a closure in the node's namespace, with both open.
    fn run<T: Send>(&self, inside: impl FnOnce(&mut Both) -> T + Send) -> T {
        let path = self.container.path();
        self.host.enter(|| {
            let home = Netns::current().unwrap();
            let netns = Netns::open(&path).unwrap();
            inside(&mut Both {
                host: Rtnetlink::open().unwrap(),
                container: Rtnetlink::open_in(&netns, &home).unwrap(),
                home,
                netns,
            })
        })
    }

    /// The only entry of what `ip -j` prints in the node's namespace.
    #[track_caller]
    fn host_ip(&self, args: &[&str]) -> Value {
        only(self.host.ip_json(args))
    }

    /// The only entry of what `ip -j` prints in the container's namespace.
    #[track_caller]
    fn container_ip(&self, args: &[&str]) -> Value {
        only(self.container.ip_json(args))
    }

    /// What `bridge -j` prints in the node's namespace.
    #[track_caller]
    fn bridge(&self, args: &[&str]) -> Value {
        let output = self
            .host
            .command(Command::new("bridge").arg("-j").args(args));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Both namespaces as the code under test sees them.
struct Both {
    host: Rtnetlink,
    container: Rtnetlink,
    home: Netns,
    netns: Netns,
}

impl Both {
    fn bridge(&mut self) -> Link {
        let bridge = NewLink {
            mac: Some(BRIDGE_MAC),
            is_up: true,
            ..NewLink::named("cni0")
        };
        self.host.create_bridge(&bridge, None).unwrap()
    }

    /// A pair whose near end is a port of the bridge and up; returns both ends.
    fn veth(&mut self, near: &str, far: &str, bridge: u32) -> (Link, Link) {
        let port = NewLink {
            master: Some(bridge),
            is_up: true,
            ..NewLink::named(near)
        };
        let peer = peer(far, &self.netns);
        let made = self
            .host
            .create_veth(&NewVeth { port, peer }, None)
            .unwrap();
        let far = self.container.link_by_name(far).unwrap().unwrap();
        assert_eq!(made.peer.index, far.index);
        assert_eq!(made.peer.name, far.name);
        (made.port, far)
    }
}

fn peer<'a>(name: &'a str, netns: &'a Netns) -> NewPeer<'a> {
    NewPeer {
        name,
        netns,
        mtu: None,
        mac: None,
    }
}

#[track_caller]
fn only(list: Value) -> Value {
    match list.as_array().map(Vec::as_slice) {
        Some([entry]) => entry.clone(),
        _ => panic!("not exactly one: {list}"),
    }
}

fn flags(link: &Value) -> Vec<&str> {
    let flags = link["flags"].as_array().unwrap();
    flags.iter().map(|flag| flag.as_str().unwrap()).collect()
}

fn up() -> netlink::LinkChange {
    netlink::LinkChange {
        is_up: Some(true),
        ..Default::default()
    }
}
