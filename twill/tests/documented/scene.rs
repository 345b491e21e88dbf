//! A node as the pages have it, on which their commands run.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::{Node, binaries};

use crate::pages;

/// The names of the plugins.
const PLUGINS: [&str; 8] = [
    "bandwidth",
    "bridge",
    "flannel",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
];

/// Gives the node directories of its own wherever a command may write, and stops if it cannot.
const OWN_DIRECTORIES: &str = r"
    for dir in /opt /var/lib /usr/lib/cni /usr/libexec; do
        if [ -d $dir ]; then mount -t tmpfs -o mode=0755 none $dir; fi
    done
    mkdir -p /opt/cni/bin /var/lib/cni
";

const LEASE: &str = "\
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
";

/// A node with Twill's plugins, flanneld's lease, and the network list that README.md has.
pub(crate) struct Scene {
    node: Node,
    /// The working directory, and in `bin` the programs of `PATH`.
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self {
            node: Node::new().unwrap(),
            directory: TempDir::with_prefix("twill-documented-").unwrap(),
        };
        let twill = format!(
            "exec {} {} \"$@\"",
            binaries::WITHOUT_OTHER_PROCESSES.join(" "),
            binaries::plugin("twill").display()
        );
        scene.install_program("twill", &twill);
        let built = scene.directory.path().join("target/cni");
        binaries::link_plugins(&built, &["twill"]);
        for plugin in PLUGINS {
            symlink("twill", built.join(plugin)).unwrap();
        }
        scene.prepare(OWN_DIRECTORIES);
        scene.node.write("/run/flannel/subnet.env", LEASE);
        scene
            .node
            .write("/etc/cni/net.d/10-flannel.conflist", list());
        scene
    }

    /// Has the plugins in the runtime's directory.
    pub(crate) fn with_plugins(self) -> Self {
        self.node
            .enter(|| binaries::link_plugins("/opt/cni/bin".as_ref(), &PLUGINS));
        self
    }

    /// Runs a script that has to succeed.
    #[track_caller]
    pub(crate) fn prepare(&self, script: &str) {
        let output = self.run(script);
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// Runs a command line as a shell does.
    pub(crate) fn run(&self, line: &str) -> Output {
        let path = format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.directory.path().join("bin").display()
        );
        let mut shell = Command::new("sh");
        shell.args(["-ec", line]).current_dir(self.directory.path());
        for name in [
            "CNI_PATH",
            "NETCONFPATH",
            "CNI_IFNAME",
            "CNI_ARGS",
            "CAP_ARGS",
        ] {
            shell.env_remove(name);
        }
        self.node
            .enter(|| shell.env("PATH", path).output().unwrap())
    }

    /// Puts a shell script into `PATH`.
    pub(crate) fn install_program(&self, name: &str, script: &str) {
        let bin = self.directory.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        self.prepare(&format!("chmod 755 {}", path.display()));
    }
}

/// The network list of README.md.
pub(crate) fn list() -> String {
    let page = pages::named("README.md");
    let blocks = page.blocks();
    let mut lists = blocks.iter().filter(|block| block.language == "json");
    let list = lists.next().expect("README.md has a network list");
    list.lines.join("\n")
}
