//! A node with a wire to another machine, and the plugins of one side.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;
use testkit::requirements::{REFERENCE_DIR, require_reference, require_root, skip_for_kernel};
use testkit::{Invocation, NetNs, Node, Outcome, ScriptedDelegate, binaries};

use crate::support::conf::{GATEWAY, GATEWAY6, NETWORK};
use crate::support::container::{Container, Link, all_links};
use crate::support::side::Side;

/// A node with a wire, `wire0`, by which its default route goes. At the other end is a machine with the gateway's addresses.
pub(crate) struct Lab {
    pub(crate) side: Side,
    pub(crate) node: Node,
    pub(crate) outside: NetNs,
    program: PathBuf,
    /// Has host-local of the same side.
    plugins: TempDir,
    /// Folders of further plugins.
    further: Mutex<Vec<PathBuf>>,
}

impl Lab {
    /// `None`, told as a skip, where the machine cannot have it or its kernel does not have the plugin's kind of link.
    #[track_caller]
    pub(crate) fn new(side: Side) -> Option<Self> {
        Self::on_any_kernel(side).filter(Self::has_kind)
    }

    /// As [`Lab::new`], for what comes before the link is made.
    #[track_caller]
    pub(crate) fn on_any_kernel(side: Side) -> Option<Self> {
        if !require_root() {
            return None;
        }
        let (program, host_local) = match side {
            Side::Ours => (
                binaries::plugin(crate::PLUGIN),
                binaries::plugin("host-local"),
            ),
            Side::Reference => (
                require_reference(crate::PLUGIN)?,
                Path::new(REFERENCE_DIR).join("host-local"),
            ),
        };
        let plugins = TempDir::with_prefix("twill-plugins-").unwrap();
        symlink(host_local, plugins.path().join("host-local")).unwrap();
        let lab = Self {
            side,
            node: Node::new().unwrap(),
            outside: NetNs::new().unwrap(),
            program,
            plugins,
            further: Mutex::default(),
        };
        lab.plug_in();
        Some(lab)
    }

    #[track_caller]
    fn plug_in(&self) {
        let accept_dad = "/proc/sys/net/ipv6/conf/default/accept_dad";
        self.node.write(accept_dad, "0");
        self.outside.enter(|| fs::write(accept_dad, "0")).unwrap();
        let path = self.outside.path();
        let netns = path.to_str().unwrap();
        self.ip(&format!(
            "link add wire0 type veth peer name wire1 netns {netns}"
        ));
        for args in [
            format!("address add {GATEWAY}/24 dev wire1"),
            format!("address add {GATEWAY6}/64 dev wire1"),
            "link set wire1 up".to_owned(),
        ] {
            let mut ip = Command::new("ip");
            let output = self.outside.command(ip.args(args.split(' ')));
            assert!(output.status.success(), "ip {args}: {output:?}");
        }
        self.ip("link set wire0 up");
        self.ip("address add 198.51.100.1/24 dev wire0");
        self.ip("route add default via 198.51.100.2");
    }

    /// Whether the kernel has links of this kind; if not, the test is told to be skipped.
    #[track_caller]
    fn has_kind(&self) -> bool {
        let probe = || {
            let mut ip = Command::new("ip");
            ip.args(["link", "add", "probe0", "link", "wire0", "type"]);
            ip.arg(crate::PLUGIN).output().unwrap()
        };
        let output = self.node.enter(probe);
        if output.status.success() {
            self.ip("link del probe0");
            return true;
        }
        skip_for_kernel(crate::PLUGIN);
        false
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

    /// A call that is about no container.
    pub(crate) fn call_alone(&self, command: &str, conf: &Value) -> Invocation {
        Invocation::new(&self.program, command)
            .paths(self.plugin_folders())
            .config(conf)
    }

    #[track_caller]
    pub(crate) fn add(&self, container: &Container, conf: &Value) -> Value {
        self.node.run(&self.call("ADD", container, conf)).success()
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
        all_links(self.node.ip_json(&["-d", "address"]))
            .into_iter()
            .find(|link| link.name() == name)
            .unwrap_or_else(|| panic!("the node has no link {name}"))
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
}
