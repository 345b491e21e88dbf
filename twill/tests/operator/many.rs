//! Ten thousand leases, in both stores.

use std::fs;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Invocation, binaries, requirements::require_root};

use crate::site::{PLUGINS, Site};

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
        let (dir, kept) = ("/var/lib/cni/networks/net", "/var/lib/cni/flannel");
        for dir in [dir, kept] {
            fs::create_dir_all(dir).unwrap();
        }
        let kept_conf = json!({
            "cniVersion": "1.0.0", "name": "net", "type": "bridge", "twill/ifname": "eth0",
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]},
        });
        let mut alive = Vec::new();
        for number in 0..LEASES {
            let address = format!("10.1.{}.{}", number / 250, number % 250 + 2);
            let container = format!("{number:064x}");
            alive.push(json!({"containerID": container, "ifname": "eth0"}));
            fs::write(format!("{dir}/{address}"), format!("{container}\r\neth0")).unwrap();
            fs::write(format!("{kept}/{container}"), kept_conf.to_string()).unwrap();
        }
        fs::write("/run/alive.json", Value::from(alive).to_string()).unwrap();
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    });
    let list = |backend: &str| {
        let mut bridge = network(backend);
        bridge["type"] = "bridge".into();
        site.list(&json!({"cniVersion": "1.0.0", "name": "net", "plugins": [bridge]}));
    };
    list("disk");
    listed(&site, "disk");
    // To the database.
    let (text, status) = site.twill(&["convert", "db", "net"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.starts_with("moved 10000 addresses"), "{text}");
    list("db");
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
    for command in ["status", "doctor", "gc"] {
        let (peak, text) = peak_of(site, &[command, "--from", "/run/alive.json"]);
        let end = text.lines().last().unwrap();
        let is_well = end == "nothing is wrong"
            || end == format!("nothing is dead; {LEASES} alive, 0 unclear");
        assert!(is_well, "{command}: {text}");
        assert!(peak <= MEMORY, "{command}: {peak} KiB");
        eprintln!("{command} ({store}): {peak} KiB");
    }
}

/// The most memory that a command has taken, in KiB, and what it prints.
fn peak_of(site: &Site, arguments: &[&str]) -> (u64, String) {
    let mut printed = tempfile::tempfile().unwrap();
    let peak = site.node.enter(|| {
        let mut child = Command::new(binaries::plugin("twill"))
            .args(arguments)
            .env("CNI_PATH", PLUGINS)
            .stdout(Stdio::from(printed.try_clone().unwrap()))
            .spawn()
            .unwrap();
        let file = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            // What has ended has no memory any more.
            let status = fs::read_to_string(&file).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.map(|line| line.trim().trim_end_matches(" kB").parse().unwrap());
            peak = peak.max(now.unwrap_or(0));
            sleep(Duration::from_millis(1));
        }
        assert!(child.wait().unwrap().success(), "{arguments:?}");
        peak
    });
    let mut text = String::new();
    printed.rewind().unwrap();
    printed.read_to_string(&mut text).unwrap();
    assert!(peak > 0);
    (peak, text)
}
