//! What the tests of bandwidth share: a node with containers whose veth pairs are there already,
//! as the plugins before it in a list make them.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test binary uses a part of it"
)]

pub(crate) mod traffic;

use std::ops::Deref;
use std::process::Command;

use serde_json::{Value, json};
use testkit::conf::{NETWORK, of, with};

pub(crate) use testkit::{Container, Side};

/// The addresses of the container's and of the node's end.
pub(crate) const INSIDE: &str = "10.1.1.2";
pub(crate) const OUTSIDE: &str = "10.1.1.1";
pub(crate) const INSIDE6: &str = "fd00:1::2";
pub(crate) const OUTSIDE6: &str = "fd00:1::1";

/// A megabit, in bits.
pub(crate) const MEGABIT: u64 = 1_000_000;

pub(crate) struct Lab(testkit::Lab);

impl Deref for Lab {
    type Target = testkit::Lab;

    fn deref(&self) -> &testkit::Lab {
        &self.0
    }
}

impl Lab {
    /// `None` where there is nothing to test, as [`testkit::Lab::new`] says.
    #[track_caller]
    pub(crate) fn new(side: Side) -> Option<Self> {
        testkit::Lab::new(side, "bandwidth").map(Self)
    }

    /// A container with a veth pair: `eth0` inside, `node-<id>` on the node.
    #[track_caller]
    pub(crate) fn container(&self, id: &str) -> Container {
        let container = Container::new(id);
        self.plug_in(&container, "eth0", &end(&container));
        container.ip(&format!("address add {INSIDE}/24 dev eth0"));
        container.ip(&format!("address add {INSIDE6}/64 dev eth0 nodad"));
        let end = end(&container);
        self.ip(&format!("address add {OUTSIDE}/24 dev {end}"));
        self.ip(&format!("address add {OUTSIDE6}/64 dev {end} nodad"));
        container
    }

    /// A veth pair with these ends in the container and on the node, both up.
    #[track_caller]
    pub(crate) fn plug_in(&self, container: &Container, inside: &str, outside: &str) {
        let netns = container.sandbox.path();
        let netns = netns.to_str().unwrap();
        self.ip(&format!(
            "link add {outside} type veth peer name {inside} netns {netns}"
        ));
        self.ip(&format!("link set {outside} up"));
        container.ip(&format!("link set {inside} up"));
    }

    /// What `tc` prints of a link of the node, as JSON.
    #[track_caller]
    pub(crate) fn tc(&self, object: &str, args: &str) -> Vec<Value> {
        let command = format!("-j -s {object} show {args}");
        let output = self
            .node
            .enter(|| Command::new("tc").args(command.split(' ')).output())
            .expect("`tc` can be run (Debian package iproute2)");
        assert!(output.status.success(), "tc {command}: {output:?}");
        if output.stdout.iter().all(u8::is_ascii_whitespace) {
            return Vec::new();
        }
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Changes traffic control by hand.
    #[track_caller]
    pub(crate) fn change_tc(&self, command: &str) {
        let output = self
            .node
            .enter(|| Command::new("tc").args(command.split(' ')).output())
            .unwrap();
        assert!(output.status.success(), "tc {command}: {output:?}");
    }

    /// The qdisc at a link's root, unless it is the kernel's default.
    #[track_caller]
    pub(crate) fn root(&self, link: &str) -> Option<Value> {
        let qdiscs = self.tc("qdisc", &format!("dev {link}"));
        let is_root = |qdisc: &Value| qdisc["root"] == true && qdisc["handle"] != "0:";
        qdiscs.into_iter().find(is_root)
    }

    /// The kinds of all qdiscs of a link but the kernel's default ones, and of those below.
    #[track_caller]
    pub(crate) fn kinds(&self, link: &str) -> Vec<String> {
        let qdiscs = self.tc("qdisc", &format!("dev {link}"));
        let made = qdiscs.iter().filter(|qdisc| qdisc["handle"] != "0:");
        let made = made.map(|qdisc| qdisc["kind"].as_str().unwrap().to_owned());
        made.filter(|kind| kind != "fq_codel").collect()
    }

    /// The names of the node's ifbs.
    #[track_caller]
    pub(crate) fn ifbs(&self) -> Vec<String> {
        let links = self.links();
        let ifbs = links.iter().filter(|link| link.kind() == Some("ifb"));
        ifbs.map(|link| link.name().to_owned()).collect()
    }

    /// The result that the plugins before ours have: the pair and an address.
    #[track_caller]
    pub(crate) fn previous(&self, container: &Container) -> Value {
        self.previous_of(container, "eth0", &end(container))
    }

    #[track_caller]
    pub(crate) fn previous_of(&self, container: &Container, inside: &str, outside: &str) -> Value {
        json!({
            "cniVersion": "1.0.0",
            "interfaces": [
                { "name": outside, "mac": self.link(outside).mac() },
                {
                    "name": inside,
                    "mac": container.link(inside).mac(),
                    "sandbox": container.sandbox.path(),
                },
            ],
            "ips": [{ "address": format!("{INSIDE}/24"), "interface": 1 }],
        })
    }

    /// The configuration of a chained call for a container.
    #[track_caller]
    pub(crate) fn chained(&self, container: &Container, keys: Value) -> Value {
        with(
            conf(keys),
            json!({ "prevResult": self.previous(container) }),
        )
    }
}

/// The node's end of a container's pair.
pub(crate) fn end(container: &Container) -> String {
    format!("node-{}", container.id)
}

/// A configuration without `prevResult`.
pub(crate) fn conf(keys: Value) -> Value {
    of("bandwidth", keys)
}

/// Limits of both directions, in bits.
pub(crate) fn limits(rate: u64, burst: u64) -> Value {
    json!({
        "ingressRate": rate,
        "ingressBurst": burst,
        "egressRate": rate,
        "egressBurst": burst,
    })
}

/// As [`testkit::both`].
macro_rules! both {
    ($($tests:tt)*) => {
        testkit::both! { crate::support::Lab::new; $($tests)* }
    };
}

/// As [`testkit::ours`].
macro_rules! ours {
    ($($tests:tt)*) => {
        testkit::ours! { crate::support::Lab::new; $($tests)* }
    };
}

pub(crate) use {both, ours};
