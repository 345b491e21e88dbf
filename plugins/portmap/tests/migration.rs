//! A node that switches from the Go plugin while containers run: what that one made for a container
//! goes with the container's next ADD, DEL or GC, and nothing else does.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Invocation, Side, binaries};

use crate::support::{Lan, NODE, Place, Protocol};

/// Our plugin, on the node of the other one.
#[track_caller]
fn ours(lan: &Lan, command: &str, pod: usize, conf: &Value) {
    let container = &lan.pods[pod];
    let call = Invocation::attach(binaries::plugin("portmap"), command, &container.id)
        .netns(container.sandbox.path())
        .paths(lan.plugin_directories())
        .config(conf);
    let outcome = lan.node.run(&call);
    assert_eq!(outcome.code, Some(0), "{outcome}");
}

#[track_caller]
fn saved(lan: &Lan, program: &str) -> String {
    let save = || Command::new(program).args(["-t", "nat"]).output().unwrap();
    let output = lan.node.enter(save);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// How often the two families' rules name each container.
#[track_caller]
fn named(lan: &Lan) -> [usize; 2] {
    ["c1", "c2"].map(|id| {
        let jump = format!("id: \\\"{id}\\\"");
        let count = |program| saved(lan, program).matches(&jump).count();
        count("iptables-save") + count("ip6tables-save")
    })
}

/// How many chains of containers there are.
#[track_caller]
fn chains(lan: &Lan) -> usize {
    let count = |program| saved(lan, program).matches("\n:CNI-DN-").count();
    count("iptables-save") + count("ip6tables-save")
}

fn mappings(port: u16) -> Value {
    json!([
        {"hostPort": port, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": port, "containerPort": 80, "protocol": "udp"},
    ])
}

#[test]
fn rules_of_iptables() {
    let Some(lan) = Lan::new(Side::Reference) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 80);
    lan.map(0, &mappings(8080));
    lan.map(1, &mappings(8081));
    assert_eq!((named(&lan), chains(&lan)), ([4, 4], 4));
    let before = saved(&lan, "iptables-save");
    // An ADD takes over, with another port.
    ours(&lan, "ADD", 0, &lan.conf(0, &mappings(9090), &json!({})));
    assert_eq!(
        (named(&lan), chains(&lan)),
        ([0, 4], 2),
        "before:\n{before}"
    );
    for node in NODE {
        assert!(
            lan.ask(Place::Outside, Protocol::Tcp, node, 9090)
                .starts_with("c1")
        );
        assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, node, 8080));
    }
    let bare = json!({"cniVersion": "1.0.0", "name": "cbr0", "type": "portmap"});
    ours(&lan, "DEL", 0, &bare);
    assert_eq!((named(&lan), chains(&lan)), ([0, 4], 2));
    ours(&lan, "DEL", 1, &bare);
    assert_eq!((named(&lan), chains(&lan)), ([0, 0], 0));
}

#[test]
fn rules_of_iptables_are_collected() {
    let Some(lan) = Lan::new(Side::Reference) else {
        return;
    };
    lan.map(0, &mappings(8080));
    lan.map(1, &mappings(8081));
    let valid = |network: &str, ids: &[&str]| {
        let valid: Vec<_> = ids
            .iter()
            .map(|id| json!({"containerID": id, "ifname": "eth0"}))
            .collect();
        json!({
            "cniVersion": "1.1.0", "name": network, "type": "portmap",
            "cni.dev/valid-attachments": valid,
        })
    };
    ours(&lan, "GC", 0, &valid("cbr1", &[]));
    ours(&lan, "GC", 0, &valid("cbr0", &["c1", "c2"]));
    assert_eq!((named(&lan), chains(&lan)), ([4, 4], 4));
    ours(&lan, "GC", 0, &valid("cbr0", &["c2"]));
    assert_eq!((named(&lan), chains(&lan)), ([0, 4], 2));
}

// The kernel's older tables, which only programs of iptables can read. Another distribution's
// `iptables` works on them.
#[test]
fn rules_of_legacy_iptables() {
    let Some(lan) = Lan::new(Side::Reference) else {
        return;
    };
    let programs = tempfile::tempdir().unwrap();
    for name in ["iptables", "ip6tables"] {
        let legacy = format!("/usr/sbin/{name}-legacy");
        symlink(legacy, programs.path().join(name)).unwrap();
    }
    let path = format!(
        "{}:/usr/sbin:/usr/bin:/sbin:/bin",
        programs.path().display()
    );
    let containers = |lan: &Lan| {
        ["c1", "c2"].map(|id| {
            let jump = format!("id: \\\"{id}\\\"");
            let count = |program| saved(lan, program).matches(&jump).count();
            count("iptables-legacy-save") + count("ip6tables-legacy-save")
        })
    };
    for pod in [0, 1] {
        let conf = lan.conf(pod, &mappings(8080 + pod as u16), &json!({}));
        let add = lan.call("ADD", &lan.pods[pod], &conf).env("PATH", &path);
        lan.node.run(&add).success();
    }
    assert_eq!((containers(&lan), named(&lan)), ([4, 4], [0, 0]));
    // An ADD takes over, with another port.
    lan.serve(Place::Pod(0), "::", 80);
    ours(&lan, "ADD", 0, &lan.conf(0, &mappings(9090), &json!({})));
    assert_eq!(containers(&lan), [0, 4]);
    for node in NODE {
        let answer = lan.ask(Place::Outside, Protocol::Tcp, node, 9090);
        assert!(answer.starts_with("c1"), "{node}: {answer}");
        assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, node, 8080));
    }
    let conf = lan.conf(0, &mappings(8080), &json!({}));
    let add = lan.call("ADD", &lan.pods[0], &conf).env("PATH", &path);
    lan.node.run(&add).success();
    // As from a runtime that has lost its cache; the name `iptables` has the newer program.
    let bare = json!({"cniVersion": "1.0.0", "name": "cbr0", "type": "portmap"});
    ours(&lan, "DEL", 0, &bare);
    assert_eq!(containers(&lan), [0, 4]);
    let valid = json!({
        "cniVersion": "1.1.0", "name": "cbr0", "type": "portmap", "cni.dev/valid-attachments": [],
    });
    ours(&lan, "GC", 0, &valid);
    assert_eq!(containers(&lan), [0, 0]);
    for program in ["iptables-legacy-save", "ip6tables-legacy-save"] {
        let left = saved(&lan, program);
        assert!(!left.contains(":CNI-DN-"), "{left}");
    }
}

// As the Go plugin 1.9 makes them; Debian's is older and has no backend for nftables.
#[test]
fn rules_of_nftables() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.nft(
        "table ip cni_hostport {
            chain hostports {
                tcp dport 8080 dnat to 10.244.1.2:80 comment \"c1\"
                tcp dport 8081 dnat to 10.244.1.3:80 comment \"c2\"
            }
            chain masquerading {
                type nat hook postrouting priority srcnat;
                ip saddr 10.244.1.2 ip daddr 10.244.1.2 masquerade comment \"c1\"
                ip saddr 10.244.1.3 ip daddr 10.244.1.3 masquerade comment \"c2\"
            }
            chain prerouting {
                type nat hook prerouting priority dstnat;
                jump hostports
            }
        }",
    );
    lan.unmap(0);
    let left = lan.ruleset();
    assert_eq!(left.matches("comment \"c1\"").count(), 0, "{left}");
    assert_eq!(left.matches("comment \"c2\"").count(), 2, "{left}");
    lan.serve(Place::Pod(1), "::", 80);
    lan.map(1, &mappings(8090));
    let left = lan.ruleset();
    assert_eq!(left.matches("comment \"c2\"").count(), 0, "{left}");
    assert!(left.contains("jump hostports"), "{left}");
    assert!(
        lan.ask(Place::Outside, Protocol::Tcp, NODE[0], 8090)
            .starts_with("c2")
    );
}
