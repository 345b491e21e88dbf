//! A network of five addresses, and calls with faults in their system calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::requirements;

/// The system calls on files that a plugin makes, with either C library.
const STATE_CALLS: &str = "mkdirat,mkdir,open,openat,flock,read,pread64,write,pwrite64,newfstatat,utimensat,linkat,unlinkat,renameat,rename,fsync,fdatasync,ftruncate";

pub(crate) struct Network {
    pub(crate) directory: TempDir,
    config: Value,
}

impl Network {
    /// Room for five attachments, each with an IPv4 and an IPv6 address.
    pub(crate) fn new(backend: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = json!({
            "cniVersion": "1.0.0",
            "name": "net",
            "ipam": {
                "type": "host-local",
                "backend": backend,
                "dataDir": directory.path(),
                "ranges": [[{"subnet": "10.1.1.0/29"}], [{"subnet": "fd00::/64", "rangeEnd": "fd00::6"}]],
            }
        });
        Self { directory, config }
    }

    fn command(&self, program: &Path, command: &str, container_id: &str) -> Command {
        let mut process = Command::new(program);
        process
            .env_clear()
            .envs(testkit::coverage::environment())
            .envs([
                ("CNI_COMMAND", command),
                ("CNI_CONTAINERID", container_id),
                ("CNI_IFNAME", "eth0"),
                ("CNI_NETNS", "/run/netns/none"),
                ("CNI_PATH", "/nowhere"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        process
    }

    pub(crate) fn run(&self, command: &str, container_id: &str) -> Output {
        let plugin = testkit::binaries::plugin("host-local");
        self.finish(self.command(&plugin, command, container_id))
    }

    /// The system calls of a command, in order, from its first access to the network's directory:
    /// each by its name and its position among those of that name.
    pub(crate) fn calls(
        &self,
        strace: &Path,
        command: &str,
        container_id: &str,
    ) -> Vec<(String, usize)> {
        let log = self.directory.path().join("strace");
        let mut process = self.command(strace, command, container_id);
        process
            .args(["-qq", "-e"])
            .arg(format!("trace={STATE_CALLS}"))
            .arg("-o")
            .arg(&log)
            .arg(testkit::binaries::plugin("host-local"));
        let output = self.finish(process);
        assert!(output.status.success(), "{output:?}");
        let mut counts = BTreeMap::new();
        let mut reached = false;
        let mut calls = Vec::new();
        for line in std::fs::read_to_string(log).unwrap().lines() {
            let name = line.split('(').next().unwrap().to_owned();
            let count = counts.entry(name.clone()).or_insert(0);
            *count += 1;
            reached = reached || line.contains(self.directory.path().to_str().unwrap());
            if reached {
                calls.push((name, *count));
            }
        }
        calls
    }

    /// Runs a command with faults in system calls: names and faults in strace's syntax.
    pub(crate) fn run_tampered(
        &self,
        strace: &Path,
        (command, container_id): (&str, &str),
        tamperings: &[(&str, &str)],
    ) -> Output {
        let calls: Vec<&str> = tamperings.iter().map(|(call, _)| *call).collect();
        let mut process = self.command(strace, command, container_id);
        process.args(["-qq", "-o", "/dev/null", "-e"]);
        process.arg(format!("trace={}", calls.join(",")));
        for (call, how) in tamperings {
            process.arg("-e").arg(format!("inject={call}:{how}"));
        }
        process.arg(testkit::binaries::plugin("host-local"));
        self.finish(process)
    }

    fn finish(&self, mut process: Command) -> Output {
        let mut child = process.spawn().unwrap();
        // A killed plugin does not read its input.
        let _ = child
            .stdin
            .take()
            .unwrap()
            .write_all(self.config.to_string().as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs an ADD that must succeed, and returns its addresses.
    pub(crate) fn add(&self, container_id: &str) -> BTreeSet<String> {
        let output = self.run("ADD", container_id);
        assert!(output.status.success(), "{output:?}");
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ips = result["ips"].as_array().unwrap().iter();
        ips.map(|ip| ip["address"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn del(&self, container_id: &str) {
        let output = self.run("DEL", container_id);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }

    /// Whether a container has an address, by a CHECK with a result without addresses.
    pub(crate) fn holds_any(&self, container_id: &str) -> bool {
        self.run("CHECK", container_id).status.success()
    }

    /// The number of a container's addresses on disk.
    pub(crate) fn count_held(&self, container_id: &str) -> usize {
        let directory = self.directory.path().join("net");
        let owner = format!("{container_id}\r\neth0");
        let owned = |name: &String| {
            std::fs::read_to_string(directory.join(name)).is_ok_and(|text| text == owner)
        };
        addresses(&directory)
            .iter()
            .filter(|name| owned(name))
            .count()
    }

    /// The whole range can be allocated and released.
    pub(crate) fn audit(&self, when: &str) {
        let mut given = BTreeSet::new();
        for number in 0..5 {
            for address in self.add(&format!("audit{number}")) {
                assert!(given.insert(address.clone()), "{address} twice, {when}");
            }
        }
        assert_eq!(given.len(), 10, "{when}");
        assert!(!self.run("ADD", "audit5").status.success(), "{when}");
        for number in 0..5 {
            self.del(&format!("audit{number}"));
        }
        assert_eq!(
            addresses(&self.directory.path().join("net")),
            [""; 0],
            "{when}"
        );
    }
}

/// The address files in a directory; none without the directory, as with a database.
pub(crate) fn addresses(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).into_iter().flatten();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.parse::<std::net::IpAddr>().is_ok())
        .collect()
}

pub(crate) fn strace() -> Option<PathBuf> {
    let path = Path::new("/usr/bin/strace");
    if path.exists() {
        return Some(path.to_owned());
    }
    requirements::skip("needs strace (Debian package strace)");
    None
}
