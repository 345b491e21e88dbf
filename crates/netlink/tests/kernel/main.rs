//! What the kernel has after each change, read back with iproute2, in namespaces of the tests' own.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not know to be such"
)]

mod address;
mod link;
mod namespace;
mod netfilter;
mod removal;
mod route;
mod sub_interface;
mod sysctl;
mod vlan;
mod wait;

use std::process::Command;

use netlink::{Change, Link, LinkRef, Mac, Netns, NewLink, Rtnetlink};
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
        let create = Change::create_bridge(&bridge, None);
        self.host.create(create, "cni0").unwrap()
    }

    /// A pair whose near end is a port of the bridge and up; gives both ends.
    fn veth(&mut self, near: &str, far: &str, bridge: u32) -> (Link, Link) {
        let near_end = NewLink {
            master: Some(bridge),
            is_up: true,
            ..NewLink::named(near)
        };
        let create = Change::create_veth(&near_end, &NewLink::named(far), &self.netns);
        let near = self.host.create(create, near).unwrap();
        let far = LinkRef::Name(far);
        let far = self.container.perform_and_read(&[], far).unwrap();
        (near, far)
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

fn up() -> netlink::LinkChange<'static> {
    netlink::LinkChange {
        is_up: Some(true),
        ..Default::default()
    }
}
