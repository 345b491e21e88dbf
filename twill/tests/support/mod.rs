//! A node with the plugins of the multi-call binary, and `twill` on it.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Container, Invocation, Node, Outcome, binaries, coverage, requirements};

/// How the network of a stage is attached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// By `flannel`, or by its delegate alone.
    pub(crate) flannel: bool,
    /// host-local's store.
    pub(crate) backend: &'static str,
}

/// Every way to attach one.
pub(crate) const KINDS: [Kind; 4] = [
    Kind {
        flannel: true,
        backend: "disk",
    },
    Kind {
        flannel: true,
        backend: "db",
    },
    Kind {
        flannel: false,
        backend: "disk",
    },
    Kind {
        flannel: false,
        backend: "db",
    },
];

/// A node with a network, whose containers come and go by the plugins of the multi-call
/// binary.
pub(crate) struct Stage {
    pub(crate) node: Node,
    directory: TempDir,
    kind: Kind,
    /// The first three bytes of the network's addresses.
    net: String,
    delegate: &'static str,
}

pub(crate) fn container(id: &str) -> Container {
    Container::new(id)
}

impl Stage {
    /// `None` without root. `net` is the start of the addresses, `10.1.2`, and has to be that of
    /// one stage only: the namespaces of all tests are on one machine.
    #[track_caller]
    pub(crate) fn new(kind: Kind, net: &str) -> Option<Self> {
        Self::with_delegate(kind, net, "bridge")
    }

    #[track_caller]
    pub(crate) fn with_delegate(kind: Kind, net: &str, delegate: &'static str) -> Option<Self> {
        if !requirements::require_root() {
            return None;
        }
        let directory = TempDir::with_prefix("twill-stage-").unwrap();
        let bin = directory.path().join("bin");
        let names = [
            "twill",
            "bandwidth",
            "bridge",
            "flannel",
            "host-local",
            "ipvlan",
            "macvlan",
            "portmap",
        ];
        binaries::link_plugins(&bin, &names);
        let node = Node::new().unwrap();
        node.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        if delegate != "bridge" {
            node.ip("link add up0 type bridge");
            node.ip("link set up0 up");
        }
        node.write(
            "/run/flannel/subnet.env",
            format!(
                "FLANNEL_NETWORK=10.192.0.0/10\nFLANNEL_SUBNET={net}.1/24\nFLANNEL_MTU=1450\n\
                 FLANNEL_IPMASQ=false\n"
            ),
        );
        let stage = Self {
            node,
            directory,
            kind,
            net: net.to_owned(),
            delegate,
        };
        let list = json!({
            "cniVersion": "1.0.0",
            "name": stage.network(),
            "plugins": [
                stage.conf(),
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        });
        stage
            .node
            .write("/etc/cni/net.d/10-net.conflist", list.to_string());
        Some(stage)
    }

    /// The network's name, which no other stage has: the namespaces of all tests are on one
    /// machine.
    pub(crate) fn network(&self) -> String {
        format!("n{}", self.net.replace('.', "-"))
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The directory of the plugins.
    pub(crate) fn bin(&self) -> PathBuf {
        self.directory().join("bin")
    }

    /// The configuration of the plugin that attaches.
    fn conf(&self) -> Value {
        let delegate = match self.delegate {
            "bridge" => {
                json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true})
            }
            other => json!({"type": other, "master": "up0"}),
        };
        let mut conf = if self.kind.flannel {
            json!({
                "type": "flannel",
                "delegate": delegate,
                "ipam": {"backend": self.kind.backend},
            })
        } else {
            let mut conf = delegate;
            let subnet = format!("{}.0/24", self.net);
            conf["ipam"] = json!({
                "type": "host-local",
                "backend": self.kind.backend,
                "ranges": [[{"subnet": subnet}]],
            });
            conf
        };
        conf["cniVersion"] = "1.0.0".into();
        conf["name"] = self.network().into();
        conf
    }

    fn call(&self, plugin: &str, command: &str, container: &Container, conf: &Value) -> Outcome {
        let bin = self.bin();
        self.node.run(
            &Invocation::attach(bin.join(plugin), command, &container.id)
                .netns(container.sandbox.path())
                .paths([&bin])
                .config(conf),
        )
    }

    /// Adds a container, with a host port of its own.
    #[track_caller]
    pub(crate) fn add(&self, container: &Container) -> Value {
        let conf = self.conf();
        let plugin = conf["type"].as_str().unwrap();
        let result = self.call(plugin, "ADD", container, &conf).success();
        let address = result["ips"][0]["address"].as_str().unwrap();
        let number: u32 = address.split(['.', '/']).nth(3).unwrap().parse().unwrap();
        let mappings = json!([{"hostPort": 8000 + number, "containerPort": 80, "protocol": "tcp"}]);
        let conf = json!({
            "cniVersion": "1.0.0",
            "name": self.network(),
            "type": "portmap",
            "runtimeConfig": {"portMappings": mappings},
            "prevResult": result,
        });
        self.call("portmap", "ADD", container, &conf).success()
    }

    /// Releases the addresses of a container, and nothing else.
    #[track_caller]
    pub(crate) fn release_addresses(&self, container: &Container) {
        let conf = json!({
            "cniVersion": "1.0.0",
            "name": self.network(),
            "type": "host-local",
            "ipam": {
                "type": "host-local",
                "backend": self.kind.backend,
                "ranges": [[{"subnet": format!("{}.0/24", self.net)}]],
            },
        });
        self.call("host-local", "DEL", container, &conf).silent();
    }

    /// Deletes a container as a runtime without its cache does.
    #[track_caller]
    pub(crate) fn del(&self, container: &Container) {
        let portmap = json!({"cniVersion": "1.0.0", "name": self.network(), "type": "portmap"});
        self.call("portmap", "DEL", container, &portmap).silent();
        let conf = self.conf();
        let plugin = conf["type"].as_str().unwrap();
        self.call(plugin, "DEL", container, &conf).silent();
    }

    /// Asserts that a container can be reached at its address.
    #[track_caller]
    pub(crate) fn check(&self, container: &Container) {
        let link = container.link("eth0");
        let address = link.addresses().into_iter().find(|it| it.contains('.'));
        let address = address.expect("eth0 has an address");
        let address = address.split('/').next().unwrap();
        let ping = ["-c1", "-W5", address];
        let pinged = self
            .node
            .enter(|| Command::new("ping").args(ping).output().unwrap());
        assert!(pinged.status.success(), "{address}: {pinged:?}");
    }

    /// Writes a list for `--from`, and returns its path.
    pub(crate) fn list(&self, text: &str) -> String {
        let path = self.directory().join("list.json");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Puts a shell script into `PATH`.
    pub(crate) fn install_program(&self, name: &str, script: &str) {
        self.install_script("programs", name, script);
    }

    /// Puts a shell script into the directory of the plugins.
    pub(crate) fn install_plugin(&self, name: &str, script: &str) {
        self.install_script("bin", name, script);
    }

    fn install_script(&self, dir: &str, name: &str, script: &str) {
        let dir = self.directory().join(dir);
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        // A program must not be open for writing when it is started.
        let aside = dir.join("aside");
        fs::write(&aside, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&aside, &path).unwrap();
    }

    /// Mounts a container's namespace where runtimes do, until the value is dropped.
    pub(crate) fn mount_namespace(&self, container: &Container) -> Mounted<'_> {
        let path = PathBuf::from(format!("/run/netns/{}", container.id));
        let source = container.sandbox.path();
        self.node.enter(|| {
            fs::create_dir_all("/run/netns").unwrap();
            File::create(&path).unwrap();
            mount(
                Some(&source),
                &path,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )
            .unwrap();
        });
        Mounted { stage: self, path }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.bin().join("twill"));
        let path = format!(
            "{}:/usr/sbin:/usr/bin:/sbin:/bin",
            self.directory().join("programs").display()
        );
        command
            .args(words)
            .env_clear()
            .envs(coverage::environment())
            .env("PATH", path)
            .stdin(Stdio::null());
        command
    }

    /// Runs `twill` on the node.
    #[track_caller]
    pub(crate) fn twill(&self, words: &[&str]) -> Printed {
        Printed(self.node.enter(|| self.command(words).output().unwrap()))
    }

    /// Runs `twill` on the node without the right to look at processes of others.
    #[track_caller]
    pub(crate) fn twill_that_sees_little(&self, words: &[&str]) -> Printed {
        let twill = self.command(words);
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]);
        command.arg(twill.get_program()).args(twill.get_args());
        command.stdin(Stdio::null());
        Printed(self.node.enter(|| command.output().unwrap()))
    }

    /// Starts `twill` on the node.
    #[track_caller]
    pub(crate) fn start_twill(&self, words: &[&str]) -> RunningTwill {
        let started = self.node.enter(|| {
            let mut command = self.command(words);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        });
        RunningTwill(started)
    }

    /// All that attachments hold on the node.
    #[track_caller]
    pub(crate) fn holdings(&self) -> Holdings {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        let network = self.network();
        let dir = format!("/var/lib/cni/networks/{network}");
        for name in self.node.list(&dir) {
            if name.contains('.') && !name.starts_with("last") {
                let owner = self.node.read(format!("{dir}/{name}"));
                let owner = owner.split("\r\n").next().unwrap().to_owned();
                all.insert(format!("lease {name}"), owner);
            }
        }
        if self.kind.backend == "db" {
            for (address, owner) in self.leases_in_database() {
                all.insert(format!("lease {address}"), owner);
            }
        }
        for name in self.node.list("/var/lib/cni/flannel") {
            if !name.starts_with('.') {
                all.insert(format!("kept {name}"), name);
            }
        }
        for link in self.node.ip_json(&["-d", "link"]).as_array().unwrap() {
            let alias = link["ifalias"].as_str().unwrap_or_default();
            if let Some(owner) = alias.strip_prefix(&format!("twill/{network}/")) {
                let owner = owner.split('/').next().unwrap().to_owned();
                all.insert(format!("link {}", link["ifname"]), owner);
            }
        }
        let rules = self
            .node
            .enter(|| Command::new("nft").args(["list", "ruleset"]).output());
        let rules = String::from_utf8(rules.unwrap().stdout).unwrap();
        // `eth0 of c1 in net`, in the records of masquerading and port maps.
        for (number, part) in rules.split("\"eth0 of ").skip(1).enumerate() {
            let owner = part.split(' ').next().unwrap().to_owned();
            all.insert(format!("rule {owner} {number}"), owner);
        }
        Holdings::new(all)
    }

    /// Addresses and owners in the database, which is converted to files elsewhere.
    fn leases_in_database(&self) -> Vec<(String, String)> {
        let copy = TempDir::with_prefix("twill-copy-").unwrap();
        let to = copy.path().to_str().unwrap();
        self.node.enter(|| {
            for name in [".addresses.db", ".addresses.lock"] {
                let from = Path::new("/var/lib/cni/networks").join(name);
                if from.exists() {
                    fs::copy(from, copy.path().join(name)).unwrap();
                }
            }
        });
        let converted = self.twill(&["convert", "disk", &self.network(), "--data-dir", to]);
        converted.text(0);
        let dir = copy.path().join(self.network());
        let names = fs::read_dir(&dir).into_iter().flatten();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let leases = names.filter(|name| name.contains('.') && !name.starts_with("last"));
        leases
            .map(|name| {
                let owner = fs::read_to_string(dir.join(&name)).unwrap();
                (name, owner.split("\r\n").next().unwrap().to_owned())
            })
            .collect()
    }
}

/// All that attachments hold on a node, each with the container that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holdings(BTreeMap<String, Vec<String>>);

impl Holdings {
    fn new(all: BTreeMap<String, String>) -> Self {
        let mut by_owner: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (what, owner) in all {
            // Rules are counted, not numbered.
            let what = match what.strip_prefix("rule ") {
                Some(_) => "rule".to_owned(),
                None => what,
            };
            by_owner.entry(owner).or_default().push(what);
        }
        Self(by_owner)
    }

    /// What these containers hold.
    pub(crate) fn only(&self, containers: &[&Container]) -> Self {
        let kept = self
            .0
            .iter()
            .filter(|(owner, _)| containers.iter().any(|container| container.id == **owner));
        Self(
            kept.map(|(owner, held)| (owner.clone(), held.clone()))
                .collect(),
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A process, if it could be started.
type Started = std::io::Result<Child>;

/// A process in a namespace, which ends with this value.
pub(crate) struct Inhabitant(Child);

impl Inhabitant {
    pub(crate) fn of(container: &Container) -> Self {
        Self::running(Path::new("sleep"), |start| container.sandbox.enter(start))
    }

    /// A copy of `sleep`; `enter` calls its argument in the namespace.
    pub(crate) fn running(
        program: &Path,
        enter: impl FnOnce(Box<dyn FnOnce() -> Started + Send>) -> Started,
    ) -> Self {
        let mut sleep = Command::new(program);
        Self(enter(Box::new(move || sleep.arg("600").spawn())).unwrap())
    }
}

impl Drop for Inhabitant {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A mounted namespace.
pub(crate) struct Mounted<'a> {
    stage: &'a Stage,
    path: PathBuf,
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let path = &self.path;
        let _ = self
            .stage
            .node
            .enter(|| umount2(path, MntFlags::MNT_DETACH));
    }
}

/// What `twill` has printed.
pub(crate) struct Printed(Output);

impl Printed {
    /// Standard output, of a command that ends with this status and is silent otherwise.
    #[track_caller]
    pub(crate) fn text(self, status: i32) -> String {
        let stderr = String::from_utf8_lossy(&self.0.stderr);
        let stdout = String::from_utf8_lossy(&self.0.stdout);
        assert_eq!(
            (self.0.status.code(), &*stderr),
            (Some(status), ""),
            "{stdout}"
        );
        stdout.into_owned()
    }

    /// Standard output, of a command that could do its work.
    #[track_caller]
    pub(crate) fn any(self) -> String {
        let stderr = String::from_utf8_lossy(&self.0.stderr);
        assert!(matches!(self.0.status.code(), Some(0 | 1)), "{stderr}");
        String::from_utf8(self.0.stdout).unwrap()
    }

    /// Standard error, of a command that could not do its work.
    #[track_caller]
    pub(crate) fn failure(self) -> String {
        let stdout = String::from_utf8_lossy(&self.0.stdout);
        let stderr = String::from_utf8_lossy(&self.0.stderr);
        assert_eq!((self.0.status.code(), &*stdout), (Some(2), ""), "{stderr}");
        stderr.into_owned()
    }
}

/// `twill` at work.
pub(crate) struct RunningTwill(Child);

impl RunningTwill {
    #[track_caller]
    pub(crate) fn wait(self) -> Printed {
        Printed(self.0.wait_with_output().unwrap())
    }
}
