//! A node that does not forward yet, and its packet filter.

use std::ops::Deref;
use std::process::Command;

use testkit::Side;
use testkit::conf::NETWORK;

pub(crate) use testkit::Container;

pub(crate) const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
pub(crate) const IPV6_FORWARD: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// A lab whose node forwards nothing.
pub(crate) struct Lab(testkit::Lab);

impl Deref for Lab {
    type Target = testkit::Lab;

    fn deref(&self) -> &testkit::Lab {
        &self.0
    }
}

impl Lab {
    /// `None` as for [`testkit::Lab::new`].
    #[track_caller]
    pub(crate) fn new(side: Side) -> Option<Self> {
        let lab = testkit::Lab::new(side, "bridge")?;
        for forwarding in [IP_FORWARD, IPV6_FORWARD] {
            lab.node.write(forwarding, "0");
        }
        Some(Self(lab))
    }

    /// All rules of the packet filter, also those of iptables, without the warnings about these,
    /// and without our own tables when no container is in their sets: these stay.
    #[track_caller]
    pub(crate) fn ruleset(&self) -> String {
        let list = || {
            Command::new("nft")
                .args(["-s", "list", "ruleset"])
                .output()
                .expect("`nft` can be run (Debian package nftables)")
        };
        let output = self.node.enter(list);
        assert!(output.status.success(), "nft list ruleset: {output:?}");
        let all = String::from_utf8(output.stdout).unwrap();
        let tables = all.split_inclusive("\n}\n");
        let is_ours = |table: &str| {
            let name = table.trim_start().split(' ').nth(2);
            name.is_some_and(|name| name.starts_with("twill_"))
        };
        // Each element of ours has a comment, that of a container ends with its network's name.
        let is_used = |table: &str| table.contains(&format!(" in {NETWORK}\""));
        tables
            .filter(|table| !is_ours(table) || is_used(table))
            .collect()
    }

    /// A kernel setting, as a number.
    #[track_caller]
    pub(crate) fn setting(&self, path: &str) -> i64 {
        self.node.read(path).trim().parse().unwrap()
    }
}
