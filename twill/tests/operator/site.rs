//! A node with a network, and `twill` on it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Node, binaries};

/// Where the node's plugins are.
pub(crate) const PLUGINS: &str = "/run/cni-bin";

/// A node.
pub(crate) struct Site {
    pub(crate) node: Node,
    path: &'static str,
}

impl Site {
    /// A node with our plugins, each a link to the binary.
    pub(crate) fn of_ours() -> Self {
        let site = Self::with_plugins(PLUGINS);
        site.node.enter(|| {
            let names = ["bandwidth", "bridge", "flannel", "host-local", "portmap"];
            binaries::link_plugins(Path::new(PLUGINS), &names);
        });
        site
    }

    /// A node with the plugins of these directories.
    pub(crate) fn with_plugins(path: &'static str) -> Self {
        Self {
            node: Node::new().unwrap(),
            path,
        }
    }

    /// Writes flanneld's lease.
    pub(crate) fn lease(&self) {
        let text = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";
        self.node.write("/run/flannel/subnet.env", text);
    }

    /// Writes the list of a network, and removes all others.
    pub(crate) fn list(&self, list: &Value) {
        let name = list["name"].as_str().unwrap();
        self.node
            .enter(|| drop(fs::remove_dir_all("/etc/cni/net.d")));
        self.node.write(
            format!("/etc/cni/net.d/10-{name}.conflist"),
            list.to_string(),
        );
    }

    /// Makes a container with a namespace, and adds it to a network.
    pub(crate) fn add(&self, network: &str, container: &str, arguments: &[&str]) {
        self.run("ip", &["netns", "add", container]);
        let own = ["add", network, container, "--container", container];
        let (_, status) = self.twill(&[&own, arguments].concat());
        assert_eq!(status, 0);
    }

    /// Ends a container. Its pair is gone afterwards, which the kernel takes its time for.
    pub(crate) fn end(&self, container: &str) {
        let pairs = || {
            self.node.enter(|| {
                let links = Command::new("ip")
                    .args(["-o", "link", "show", "type", "veth"])
                    .output();
                String::from_utf8(links.unwrap().stdout)
                    .unwrap()
                    .lines()
                    .count()
            })
        };
        let before = pairs();
        self.run("ip", &["netns", "del", container]);
        let give_up = Instant::now() + Duration::from_secs(60);
        while pairs() == before {
            assert!(Instant::now() < give_up, "the pair of {container} stays");
            sleep(Duration::from_millis(10));
        }
    }

    /// Runs a program, which has to succeed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) {
        let output = self
            .node
            .enter(|| Command::new(program).args(arguments).output().unwrap());
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {output:?}"
        );
    }

    /// What `twill` prints on standard output, or on standard error if that is all, and its exit
    /// status. What differs from run to run is replaced.
    pub(crate) fn twill(&self, arguments: &[&str]) -> (String, i32) {
        let output = self.output(arguments);
        let text = match output.stdout.is_empty() {
            true => output.stderr,
            false => output.stdout,
        };
        let text = normal(&String::from_utf8(text).unwrap());
        (text, output.status.code().unwrap())
    }

    /// As [`Site::twill`], of JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let (text, status) = self.twill(&[arguments, &["--json"]].concat());
        let value = serde_json::from_str(&text);
        (
            value.unwrap_or_else(|error| panic!("{error}: {text}")),
            status,
        )
    }

    /// What a terminal of this width gets from `twill`, with these variables, and the exit status.
    pub(crate) fn on_a_terminal(
        &self,
        columns: u16,
        variables: &[(&str, &str)],
        arguments: &str,
    ) -> (String, i32) {
        let twill = binaries::plugin("twill");
        let command = format!(
            "stty cols {columns}; exec {} {} {arguments}",
            binaries::WITHOUT_OTHER_PROCESSES.join(" "),
            twill.display()
        );
        let output = self.node.enter(|| {
            Command::new("script")
                .args(["-qec", &command, "/dev/null"])
                .env_remove("NO_COLOR")
                .env("TERM", "xterm")
                .env("CNI_PATH", self.path)
                .envs(variables.iter().copied())
                .stdin(Stdio::null())
                .output()
                .unwrap()
        });
        let text = String::from_utf8(output.stdout).unwrap();
        (text.replace("\r\n", "\n"), output.status.code().unwrap())
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.node.enter(|| {
            binaries::twill()
                .args(arguments)
                .env("CNI_PATH", self.path)
                .env_remove("NETCONFPATH")
                .output()
                .unwrap()
        })
    }
}

/// The text with MACs, times, ages and counts of packets replaced.
fn normal(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let bare = word.trim_matches([',', '"']);
            let is_mac = bare.len() == 17 && bare.bytes().filter(|byte| *byte == b':').count() == 5;
            let is_time = bare.len() == 20 && bare.ends_with('Z') && bare.contains('T');
            if is_mac {
                word.replace(bare, "MAC")
            } else if is_time {
                word.replace(bare, "TIME")
            } else {
                word.to_owned()
            }
        });
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

/// Lines, as a command prints them.
pub(crate) fn lines(lines: &[&str]) -> String {
    lines.join("\n")
}
