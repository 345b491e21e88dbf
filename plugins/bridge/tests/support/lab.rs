//! A node, the plugins of one side, and containers that these attach.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;
use testkit::requirements::{REFERENCE_DIR, require_reference, require_root};
use testkit::{Invocation, NetNs, Node, Outcome, ScriptedDelegate, binaries};

use crate::support::conf::NETWORK;
use crate::support::links::{Link, all_links};
use crate::support::side::Side;

/// A node with nothing on it but `lo`, that forwards nothing.
pub(crate) struct Lab {
    pub(crate) side: Side,
    pub(crate) node: Node,
    program: PathBuf,
    /// Has host-local of the same side.
    plugins: TempDir,
    /// Folders of further plugins.
    further: Mutex<Vec<PathBuf>>,
}

/// A container that may be attached.
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) sandbox: NetNs,
}

impl Lab {
    /// `None`, told as a skip, where the machine cannot have it.
    #[track_caller]
    pub(crate) fn new(side: Side) -> Option<Self> {
        if !require_root() {
            return None;
        }
        let (program, host_local) = match side {
            Side::Ours => (binaries::plugin("bridge"), binaries::plugin("host-local")),
            Side::Reference => (
                require_reference("bridge")?,
                Path::new(REFERENCE_DIR).join("host-local"),
            ),
        };
        let plugins = TempDir::with_prefix("twill-plugins-").unwrap();
        symlink(host_local, plugins.path().join("host-local")).unwrap();
        let node = Node::new().unwrap();
        // Looking for duplicates of an IPv6 address takes the kernel a second or two, in which it does not answer.
        node.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        for forwarding in [IP_FORWARD, IPV6_FORWARD] {
            node.write(forwarding, "0");
        }
        Some(Self {
            side,
            node,
            program,
            plugins,
            further: Mutex::default(),
        })
    }

    /// Lets the plugin find a scripted one of this name from now on.
    #[track_caller]
    pub(crate) fn install(&self, name: &str) -> ScriptedDelegate {
        let scripted = ScriptedDelegate::new(name);
        self.further.lock().unwrap().push(scripted.dir());
        scripted
    }

    /// The folders for `CNI_PATH`.
    pub(crate) fn plugin_folders(&self) -> Vec<PathBuf> {
        let further = self.further.lock().unwrap();
        let first = [self.plugins.path().to_owned()];
        first.into_iter().chain(further.iter().cloned()).collect()
    }

    /// The plugin under test.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// A call with the container's `eth0`.
    #[track_caller]
    pub(crate) fn call(&self, command: &str, container: &Container, conf: &Value) -> Invocation {
        Invocation::attach(&self.program, command, &container.id)
            .netns(container.sandbox.path())
            .paths(self.plugin_folders())
            .config(conf)
    }

    #[track_caller]
    pub(crate) fn add(&self, container: &Container, conf: &Value) -> Value {
        self.node.run(&self.call("ADD", container, conf)).success()
    }

    /// An ADD that fails, with its message and details.
    #[track_caller]
    pub(crate) fn add_fails(&self, container: &Container, conf: &Value) -> String {
        let outcome = self.node.run(&self.call("ADD", container, conf));
        let failure = outcome.failure();
        format!("{} {}", failure.msg, failure.details)
    }

    #[track_caller]
    pub(crate) fn del(&self, container: &Container, conf: &Value) {
        self.node.run(&self.call("DEL", container, conf)).silent();
    }

    /// CHECK with the result of the ADD.
    #[track_caller]
    pub(crate) fn check(&self, container: &Container, conf: &Value, result: &Value) -> Outcome {
        let mut conf = conf.clone();
        conf["prevResult"] = result.clone();
        self.node.run(&self.call("CHECK", container, &conf))
    }

    /// A link on the node, which must be there.
    #[track_caller]
    pub(crate) fn link(&self, name: &str) -> Link {
        self.find_link(name)
            .unwrap_or_else(|| panic!("the node has no link {name}"))
    }

    #[track_caller]
    pub(crate) fn find_link(&self, name: &str) -> Option<Link> {
        self.links().into_iter().find(|link| link.name() == name)
    }

    /// All links on the node.
    #[track_caller]
    pub(crate) fn links(&self) -> Vec<Link> {
        all_links(self.node.ip_json(&["-d", "address"]))
    }

    /// The addresses that IPAM has given in the network of [`conf`](crate::support::conf), by their files.
    #[track_caller]
    pub(crate) fn taken(&self) -> Vec<String> {
        let names = self.node.list(format!("/var/lib/cni/networks/{NETWORK}"));
        let is_address = |name: &String| name.parse::<std::net::IpAddr>().is_ok();
        names.into_iter().filter(is_address).collect()
    }

    /// Runs `ip` on the node.
    #[track_caller]
    pub(crate) fn ip(&self, args: &str) {
        let mut ip = Command::new("ip");
        ip.args(args.split(' '));
        let output = self.node.enter(|| ip.output()).unwrap();
        assert!(output.status.success(), "ip {args}: {output:?}");
    }

    /// All rules of the packet filter, also those of iptables, without the warnings about these, and without our own tables
    /// when nothing is in their sets: these stay.
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
        tables
            .filter(|table| !is_ours(table) || table.contains("elements = "))
            .collect()
    }

    /// A kernel setting, as a number.
    #[track_caller]
    pub(crate) fn setting(&self, path: &str) -> i64 {
        self.node.read(path).trim().parse().unwrap()
    }
}

pub(crate) const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
pub(crate) const IPV6_FORWARD: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

impl Container {
    pub(crate) fn new(id: &str) -> Self {
        let sandbox = NetNs::new().unwrap();
        let id = id.to_owned();
        Self { id, sandbox }
    }

    /// A link inside, which must be there.
    #[track_caller]
    pub(crate) fn link(&self, name: &str) -> Link {
        let mut links = self.links().into_iter();
        let id = &self.id;
        links
            .find(|link| link.name() == name)
            .unwrap_or_else(|| panic!("container {id} has no link {name}"))
    }

    /// All links inside.
    #[track_caller]
    pub(crate) fn links(&self) -> Vec<Link> {
        all_links(self.sandbox.ip_json(&["-d", "address"]))
    }

    /// The names of all links inside.
    #[track_caller]
    pub(crate) fn link_names(&self) -> Vec<String> {
        let links = self.links();
        links.iter().map(|link| link.name().to_owned()).collect()
    }

    /// The routes inside that the kernel has not made itself, such as `default via 10.1.1.1`, sorted, IPv4 first.
    #[track_caller]
    pub(crate) fn routes(&self) -> Vec<String> {
        let mut all = Vec::new();
        for family in ["-4", "-6"] {
            let routes = self.sandbox.ip_json(&[family, "route"]);
            let own = routes.as_array().unwrap().iter();
            let own = own.filter(|route| route["protocol"] != "kernel");
            let mut told: Vec<String> = own.map(tell_route).collect();
            told.sort_unstable();
            all.extend(told);
        }
        all
    }

    /// Runs `ip` inside.
    #[track_caller]
    pub(crate) fn ip(&self, args: &str) {
        let mut ip = Command::new("ip");
        let output = self.sandbox.command(ip.args(args.split(' ')));
        assert!(output.status.success(), "ip {args}: {output:?}");
    }

    /// A kernel setting of `eth0`, as a number; `path` is below `/proc/sys/net`.
    #[track_caller]
    pub(crate) fn setting(&self, path: &str) -> i64 {
        let path = format!("/proc/sys/net/{path}");
        let text = self.sandbox.enter(|| fs::read_to_string(&path));
        text.unwrap_or_else(|error| panic!("{path}: {error}"))
            .trim()
            .parse()
            .unwrap()
    }
}

fn tell_route(route: &Value) -> String {
    let text = |key: &str| route[key].as_str();
    let dst = text("dst").unwrap();
    match text("gateway") {
        Some(gateway) => format!("{dst} via {gateway}"),
        None => dst.to_owned(),
    }
}
