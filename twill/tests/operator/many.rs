//! Ten thousand leases, in both stores.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use testkit::{Invocation, binaries, requirements::require_root};

use crate::site::Site;

const LEASES: usize = 10_000;

/// The most memory that a command may take, in KiB.
const MEMORY: u64 = 32 << 10;

#[test]
fn ten_thousand_leases_are_listed_in_little_memory() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    let network = |backend: &str| {
        json!({
            "cniVersion": "1.0.0",
            "name": "net",
            "type": "host-local",
            "ipam": {
                "type": "host-local", "backend": backend, "ranges": [[{"subnet": "10.1.0.0/16"}]],
            },
        })
    };
    // The Go plugin's files, which ours takes over.
    site.node.enter(|| {
        let dir = "/var/lib/cni/networks/net";
        fs::create_dir_all(dir).unwrap();
        for number in 0..LEASES {
            let address = format!("10.1.{}.{}", number / 250, number % 250 + 2);
            let container = format!("{number:064x}");
            fs::write(format!("{dir}/{address}"), format!("{container}\r\neth0")).unwrap();
        }
    });
    site.list(&json!({
        "cniVersion": "1.0.0", "name": "net",
        "plugins": [{
            "type": "bridge",
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]},
        }],
    }));
    listed(&site, "disk");
    // To the database.
    let (text, status) = site.twill(&["convert", "db", "net"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.starts_with("moved 10000 addresses"), "{text}");
    listed(&site, "db");
    let add =
        Invocation::attach(binaries::plugin("host-local"), "ADD", "new").config(&network("db"));
    site.node.run(&add).success();
    assert_eq!(site.json(&["ls", "--container", "new"]).0[0]["store"], "db");
}

fn listed(site: &Site, store: &str) {
    let start = Instant::now();
    let (value, status) = site.json(&["leases"]);
    let taken = start.elapsed();
    assert_eq!(status, 0);
    let leases = value.as_array().unwrap();
    assert_eq!(leases.len(), LEASES);
    let is_right = |lease: &&Value| {
        lease["store"] == store && lease["state"] == "dead" && lease["boot"] == "this"
    };
    assert_eq!(leases.iter().filter(is_right).count(), LEASES);
    let (peak, text) = peak_of(site, &["leases", "--sort", "container"]);
    assert_eq!(text.lines().count(), LEASES + 1);
    assert!(peak <= MEMORY, "{peak} KiB");
    eprintln!("{LEASES} leases ({store}): {taken:?}, {peak} KiB");
}

/// The most memory that a command has taken, in KiB, and what it prints. It prints more than a pipe
/// holds, so it still exists when it has done all of its work.
fn peak_of(site: &Site, arguments: &[&str]) -> (u64, String) {
    site.node.enter(|| {
        let mut child = Command::new(binaries::plugin("twill"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut start = [0];
        stdout.read_exact(&mut start).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let peak = peak.trim().trim_end_matches(" kB").parse().unwrap();
        let mut text = String::from_utf8(start.to_vec()).unwrap();
        stdout.read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        (peak, text)
    })
}
