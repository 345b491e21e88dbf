//! Every system call of an ADD and of a DEL, one after the other, is the last before a kill, or fails. After each the audit:
//! no address is lost, none is given twice, nothing blocks one, and what was not reported as a success is undone.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper functions fail by panicking"
)]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::requirements;

/// The system calls by which a plugin reaches its state.
const STATE_CALLS: &str = "mkdirat,mkdir,openat,flock,read,pread64,write,pwrite64,utimensat,linkat,unlinkat,renameat,rename,fsync,fdatasync,ftruncate";

struct Network {
    folder: TempDir,
    config: Value,
}

impl Network {
    /// Room for five attachments, each with an IPv4 and an IPv6 address.
    fn new(backend: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "cniVersion": "1.0.0",
            "name": "net",
            "ipam": {
                "type": "host-local",
                "backend": backend,
                "dataDir": folder.path(),
                "ranges": [[{"subnet": "10.1.1.0/29"}], [{"subnet": "fd00::/64", "rangeEnd": "fd00::6"}]],
            }
        });
        Self { folder, config }
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

    fn run(&self, command: &str, container_id: &str) -> Output {
        let plugin = testkit::binaries::plugin("host-local");
        self.finish(self.command(&plugin, command, container_id))
    }

    /// How many state calls a command makes.
    fn count_calls(&self, strace: &Path, command: &str, container_id: &str) -> usize {
        let log = self.folder.path().join("strace");
        let mut process = self.command(strace, command, container_id);
        process
            .args(["-qq", "-e"])
            .arg(format!("trace={STATE_CALLS}"))
            .arg("-o")
            .arg(&log)
            .arg(testkit::binaries::plugin("host-local"));
        let output = self.finish(process);
        assert!(output.status.success(), "{output:?}");
        std::fs::read_to_string(log).unwrap().lines().count()
    }

    /// Runs a command whose `number`th state call is tampered with, in strace's words.
    fn run_tampered(
        &self,
        strace: &Path,
        (command, container_id): (&str, &str),
        (tampering, number): (&str, usize),
    ) -> Output {
        let mut process = self.command(strace, command, container_id);
        process
            .args(["-qq", "-o", "/dev/null", "-e"])
            .arg(format!("trace={STATE_CALLS}"))
            .arg("-e")
            .arg(format!("inject={STATE_CALLS}:{tampering}:when={number}"))
            .arg(testkit::binaries::plugin("host-local"));
        self.finish(process)
    }

    fn finish(&self, mut process: Command) -> Output {
        let mut child = process.spawn().unwrap();
        // A killed plugin reads nothing.
        let _ = child
            .stdin
            .take()
            .unwrap()
            .write_all(self.config.to_string().as_bytes());
        child.wait_with_output().unwrap()
    }

    /// ADD that must succeed; the addresses.
    fn add(&self, container_id: &str) -> BTreeSet<String> {
        let output = self.run("ADD", container_id);
        assert!(output.status.success(), "{output:?}");
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ips = result["ips"].as_array().unwrap().iter();
        ips.map(|ip| ip["address"].as_str().unwrap().to_owned())
            .collect()
    }

    fn del(&self, container_id: &str) {
        let output = self.run("DEL", container_id);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }

    /// CHECK with a result that has no address: whether it holds any.
    fn holds_any(&self, container_id: &str) -> bool {
        self.run("CHECK", container_id).status.success()
    }

    /// The whole range can be given, and given back.
    fn audit(&self, when: &str) {
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
            addresses(&self.folder.path().join("net")),
            [""; 0],
            "{when}"
        );
    }
}

/// The address files in a folder; none without the folder, as with a database.
fn addresses(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.parse::<std::net::IpAddr>().is_ok())
        .collect()
}

fn strace() -> Option<PathBuf> {
    let path = Path::new("/usr/bin/strace");
    if path.exists() {
        return Some(path.to_owned());
    }
    requirements::skip("needs strace (Debian package strace)");
    None
}

/// Runs a command with each of its state calls tampered with in turn.
fn for_every_call(
    backend: &str,
    command: &str,
    tampering: &str,
    check: impl Fn(&Network, &Output, &str),
) {
    let Some(strace) = strace() else {
        return;
    };
    let prepared = || {
        let network = Network::new(backend);
        network.add("neighbour");
        if command == "DEL" {
            network.add("victim");
        }
        network
    };
    let calls = prepared().count_calls(&strace, command, "victim");
    assert!(calls > 10, "{command} makes {calls} calls");
    for number in 1..=calls {
        let network = prepared();
        let output = network.run_tampered(&strace, (command, "victim"), (tampering, number));
        let when = format!("{command} with {tampering} at call {number}");
        check(&network, &output, &when);
        network.del("victim");
        network.del("victim");
        network.del("neighbour");
        network.audit(&when);
    }
}

fn killed_add(backend: &str) {
    for_every_call(backend, "ADD", "signal=SIGKILL", |network, output, when| {
        // The next operation on the network is somebody else's.
        network.add("next");
        if output.status.success() {
            assert!(network.holds_any("victim"), "{when}");
        } else {
            let held = held_by_victim(network);
            assert!(held == 0 || held == 2, "{held} addresses held, {when}");
        }
        network.del("next");
    });
}

fn killed_del(backend: &str) {
    for_every_call(backend, "DEL", "signal=SIGKILL", |network, output, when| {
        network.add("next");
        if output.status.success() {
            assert!(!network.holds_any("victim"), "{when}");
        }
        network.del("next");
    });
}

fn failed_add(backend: &str, errno: &str) {
    let tampering = format!("error={errno}");
    for_every_call(backend, "ADD", &tampering, |network, output, when| {
        assert_answered(output, when);
        assert_eq!(
            network.holds_any("victim"),
            output.status.success(),
            "{when}: {output:?}"
        );
    });
}

fn failed_del(backend: &str, errno: &str) {
    let tampering = format!("error={errno}");
    for_every_call(backend, "DEL", &tampering, |network, output, when| {
        assert_answered(output, when);
        if output.status.success() {
            assert!(!network.holds_any("victim"), "{when}: {output:?}");
        }
    });
}

/// A plugin that lives to its end says what happened.
fn assert_answered(output: &Output, when: &str) {
    if output.status.success() {
        return;
    }
    let told = serde_json::from_slice::<Value>(&output.stdout);
    // The answer itself may have been what could not be written.
    let told = told.is_ok_and(|error| error["code"].is_u64() && error["msg"].is_string());
    assert!(told || output.stdout.is_empty(), "{when}: {output:?}");
}

/// How many addresses the victim holds.
fn held_by_victim(network: &Network) -> usize {
    let folder = network.folder.path().join("net");
    let owned = |name: &String| {
        std::fs::read_to_string(folder.join(name)).is_ok_and(|owner| owner == "victim\r\neth0")
    };
    addresses(&folder).iter().filter(|name| owned(name)).count()
}

#[test]
fn an_add_on_disk_is_killed() {
    killed_add("disk");
}

#[test]
fn a_del_on_disk_is_killed() {
    killed_del("disk");
}

#[test]
fn an_add_finds_the_disk_full() {
    failed_add("disk", "ENOSPC");
}

#[test]
fn an_add_finds_the_disk_broken() {
    failed_add("disk", "EIO");
}

#[test]
fn a_del_finds_the_disk_broken() {
    failed_del("disk", "EIO");
}

#[test]
fn an_add_in_the_database_is_killed() {
    killed_add("db");
}

#[test]
fn a_del_in_the_database_is_killed() {
    killed_del("db");
}

#[test]
fn an_add_finds_the_disk_of_the_database_full() {
    failed_add("db", "ENOSPC");
}

#[test]
fn a_del_finds_the_disk_of_the_database_broken() {
    failed_del("db", "EIO");
}
