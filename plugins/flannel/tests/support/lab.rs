//! A node with a lease, and containers that real plugins attach there.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::requirements::{REFERENCE_DIR, require_reference, require_root};
use testkit::{Invocation, Node, binaries};

pub(crate) use testkit::Container;

use crate::lease::Lease;

pub(crate) const BRIDGE: &str = "cni0";
pub(crate) const NETWORK: &str = "cbr0";
pub(crate) const SCRATCH: &str = "/var/lib/cni/flannel";
pub(crate) const SUBNET_FILE: &str = "/run/flannel/subnet.env";
const ADDRESSES: &str = "/var/lib/cni/networks";

/// Whose bridge and host-local attach the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delegates {
    Ours,
    Debians,
}

impl Delegates {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Debians];
}

/// A node with a lease.
pub(crate) struct Lab {
    pub(crate) delegates: Delegates,
    pub(crate) node: Node,
    /// The directory of the plugins under test, before Debian's in `CNI_PATH`.
    pub(crate) plugins: TempDir,
}

impl Lab {
    /// `None`, reported as a skip, without root or Debian's plugins.
    #[track_caller]
    pub(crate) fn new(lease: &Lease) -> Option<Self> {
        Self::with(Delegates::Ours, lease)
    }

    #[track_caller]
    pub(crate) fn with(delegates: Delegates, lease: &Lease) -> Option<Self> {
        if !require_root() {
            return None;
        }
        require_reference("bridge")?;
        let plugins = TempDir::with_prefix("twill-plugins-").unwrap();
        if delegates == Delegates::Ours {
            for name in ["bridge", "host-local"] {
                symlink(binaries::plugin(name), plugins.path().join(name)).unwrap();
            }
        }
        let node = Node::new().unwrap();
        // Duplicate address detection takes a second or two, during which the address does not
        // answer.
        node.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        node.write(SUBNET_FILE, lease.subnet_env());
        Some(Self {
            delegates,
            node,
            plugins,
        })
    }

    /// A call with the container's `eth0`.
    #[track_caller]
    pub(crate) fn call(&self, command: &str, container: &Container, netconf: &Value) -> Invocation {
        let flannel = binaries::plugin("flannel");
        Invocation::attach(flannel, command, &container.id)
            .netns(container.sandbox.path())
            .paths([self.plugins.path(), Path::new(REFERENCE_DIR)])
            .config(netconf)
    }

    #[track_caller]
    pub(crate) fn add(&self, container: &Container, netconf: &Value) -> Value {
        self.node
            .run(&self.call("ADD", container, netconf))
            .success()
    }

    #[track_caller]
    pub(crate) fn del(&self, container: &Container, netconf: &Value) {
        self.node
            .run(&self.call("DEL", container, netconf))
            .silent();
    }

    /// The contents of a network's directory, without names that start with a dot, which belong to
    /// the index.
    #[track_caller]
    pub(crate) fn address_files(&self, network: &str) -> Vec<(String, String)> {
        let directory = format!("{ADDRESSES}/{network}");
        let names = self.node.list(&directory);
        let visible = names.into_iter().filter(|name| !name.starts_with('.'));
        visible
            .map(|name| {
                let contents = self.node.read(format!("{directory}/{name}"));
                (name, contents)
            })
            .collect()
    }

    /// The names in a network's directory that are addresses.
    #[track_caller]
    pub(crate) fn taken(&self, network: &str) -> Vec<String> {
        let files = self.address_files(network).into_iter();
        files
            .map(|(name, _)| name)
            .filter(|name| name != "lock" && !name.starts_with("last_reserved_ip."))
            .collect()
    }

    /// The configurations that flannel has kept, by their paths below its directory.
    #[track_caller]
    pub(crate) fn kept(&self) -> Vec<String> {
        let further = self.node.list(format!("{SCRATCH}/.attachments"));
        let further = further
            .into_iter()
            .map(|name| format!(".attachments/{name}"));
        let first = self.node.list(SCRATCH).into_iter();
        first
            .filter(|name| name != ".attachments")
            .chain(further)
            .collect()
    }

    /// The links on the node itself.
    #[track_caller]
    pub(crate) fn links(&self) -> Vec<String> {
        let links = self.node.ip_json(&["link"]);
        let links = links.as_array().unwrap().iter();
        links
            .map(|link| link["ifname"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The network configuration of flannel's own manifest, in another version.
pub(crate) fn netconf(version: &str) -> Value {
    json!({
        "cniVersion": version,
        "name": NETWORK,
        "type": "flannel",
        "delegate": {"hairpinMode": true, "isDefaultGateway": true},
    })
}

/// A configuration for CHECK or DEL, with the result of the ADD.
pub(crate) fn with_prev_result(netconf: &Value, result: &Value) -> Value {
    let mut netconf = netconf.clone();
    netconf["prevResult"] = result.clone();
    netconf
}
