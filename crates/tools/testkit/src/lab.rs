//! A node, the plugins of one side, and the calls that these get for containers.

use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;

use crate::binaries;
use crate::conf::NETWORK;
use crate::container::Container;
use crate::invocation::Invocation;
use crate::link::Link;
use crate::node::Node;
use crate::outcome::Outcome;
use crate::requirements::{REFERENCE_DIR, require_reference, require_root};
use crate::scripted::ScriptedDelegate;
use crate::side::Side;

// Checked in for the same reason as that of the scripted delegate.
const UNPRIVILEGED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/unprivileged.sh");

/// A node with nothing on it but `lo`, and a plugin to attach containers with.
#[derive(Debug)]
pub struct Lab {
    /// Whose plugins they are.
    pub side: Side,
    /// The node that the plugins run on.
    pub node: Node,
    program: PathBuf,
    /// Has host-local of the same side.
    plugins: TempDir,
    /// Directories of further plugins.
    further: Mutex<Vec<PathBuf>>,
}

impl Lab {
    /// A lab for the plugin of this name. `None` if its side is not chosen or, reported as a skip,
    /// if the machine cannot have it.
    ///
    /// # Panics
    /// If what is under test is not built.
    #[must_use]
    #[track_caller]
    pub fn new(side: Side, plugin: &str) -> Option<Self> {
        if !side.is_chosen() || !require_root() {
            return None;
        }
        let (program, host_local) = match side {
            Side::Ours => (binaries::plugin(plugin), binaries::plugin("host-local")),
            Side::Reference => (
                require_reference(plugin)?,
                Path::new(REFERENCE_DIR).join("host-local"),
            ),
        };
        let plugins = TempDir::with_prefix("twill-plugins-").unwrap();
        symlink(host_local, plugins.path().join("host-local")).unwrap();
        let node = Node::new().unwrap();
        // Looking for duplicates of an IPv6 address takes the kernel a second or two, in which it
        // does not answer.
        node.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
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
    pub fn install(&self, name: &str) -> ScriptedDelegate {
        let scripted = ScriptedDelegate::new(name);
        self.further.lock().unwrap().push(scripted.dir());
        scripted
    }

    /// The directories for `CNI_PATH`.
    pub fn plugin_directories(&self) -> Vec<PathBuf> {
        let further = self.further.lock().unwrap();
        let first = [self.plugins.path().to_owned()];
        first.into_iter().chain(further.iter().cloned()).collect()
    }

    /// The plugin under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A call with the container's `eth0`.
    #[track_caller]
    pub fn call(&self, command: &str, container: &Container, conf: &Value) -> Invocation {
        self.call_of(&self.program, command, container, conf)
    }

    /// As [`Lab::call`], by root without the right to change the network.
    #[track_caller]
    pub fn call_without_rights(
        &self,
        command: &str,
        container: &Container,
        conf: &Value,
    ) -> Invocation {
        self.call_of(Path::new(UNPRIVILEGED), command, container, conf)
            .env("TWILL_PROGRAM", &self.program)
    }

    #[track_caller]
    fn call_of(
        &self,
        program: &Path,
        command: &str,
        container: &Container,
        conf: &Value,
    ) -> Invocation {
        Invocation::attach(program, command, &container.id)
            .netns(container.sandbox.path())
            .paths(self.plugin_directories())
            .config(conf)
    }

    /// A call that is about no container.
    #[track_caller]
    pub fn call_alone(&self, command: &str, conf: &Value) -> Invocation {
        Invocation::new(&self.program, command)
            .paths(self.plugin_directories())
            .config(conf)
    }

    /// The result of an ADD.
    #[track_caller]
    pub fn add(&self, container: &Container, conf: &Value) -> Value {
        self.node.run(&self.call("ADD", container, conf)).success()
    }

    /// An ADD that fails, with its message and details.
    #[track_caller]
    pub fn add_fails(&self, container: &Container, conf: &Value) -> String {
        let outcome = self.node.run(&self.call("ADD", container, conf));
        let failure = outcome.failure();
        format!("{} {}", failure.msg, failure.details)
    }

    /// A DEL that succeeds.
    #[track_caller]
    pub fn del(&self, container: &Container, conf: &Value) {
        self.node.run(&self.call("DEL", container, conf)).silent();
    }

    /// CHECK with the result of the ADD.
    #[track_caller]
    pub fn check(&self, container: &Container, conf: &Value, result: &Value) -> Outcome {
        let mut conf = conf.clone();
        conf["prevResult"] = result.clone();
        self.node.run(&self.call("CHECK", container, &conf))
    }

    /// A link on the node, which must be there.
    #[track_caller]
    pub fn link(&self, name: &str) -> Link {
        self.find_link(name)
            .unwrap_or_else(|| panic!("the node has no link {name}"))
    }

    /// A link on the node, if it is there.
    #[track_caller]
    pub fn find_link(&self, name: &str) -> Option<Link> {
        self.links().into_iter().find(|link| link.name() == name)
    }

    /// All links on the node.
    #[track_caller]
    pub fn links(&self) -> Vec<Link> {
        Link::all(self.node.ip_json(&["-d", "address"]))
    }

    /// The names of all links on the node.
    #[track_caller]
    pub fn link_names(&self) -> Vec<String> {
        let links = self.links();
        links.iter().map(|link| link.name().to_owned()).collect()
    }

    /// The addresses that IPAM has given in [`NETWORK`], by their files.
    #[track_caller]
    pub fn taken(&self) -> Vec<String> {
        let names = self.node.list(format!("/var/lib/cni/networks/{NETWORK}"));
        let is_address = |name: &String| name.parse::<IpAddr>().is_ok();
        names.into_iter().filter(is_address).collect()
    }

    /// Runs `ip` on the node.
    #[track_caller]
    pub fn ip(&self, args: &str) {
        self.node.ip(args);
    }
}
