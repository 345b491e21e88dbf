//! Mistakes in the network configuration that real delegates refuse. DEL of a container whose ADD
//! failed succeeds, with or without a correction, and no address is lost.

use std::fs;

use serde_json::{Value, json};
use testkit::Invocation;

use crate::attached::assert_nothing_left;
use crate::lab::{BRIDGE, Container, Delegates, Lab, NETWORK, SCRATCH, netconf};
use crate::lease::DUAL_STACK;

type Mistake = (&'static str, fn(&mut Value));

const MISTAKES: [Mistake; 6] = [
    ("ipam.type", |conf| {
        conf["ipam"] = json!({"type": "hostlocal"});
    }),
    ("ipam.dataDir", |conf| {
        conf["ipam"] = json!({"dataDir": "/run/a-file"});
    }),
    ("ipam.lockTimeout", |conf| {
        conf["ipam"] = json!({"lockTimeout": "ten"});
    }),
    ("ipam.backend", |conf| {
        conf["ipam"] = json!({"backend": "etcd"});
    }),
    ("mtu", |conf| conf["delegate"]["mtu"] = json!("1400")),
    ("master", |conf| {
        conf["delegate"] = json!({"type": "macvlan", "master": "nic7"});
    }),
];

/// A node with a file where a directory should be, and the correct configuration.
fn lab(delegates: Delegates) -> Option<(Lab, Value)> {
    let lab = Lab::with(delegates, &DUAL_STACK)?;
    lab.node.write("/run/a-file", "precious");
    Some((lab, netconf("1.0.0")))
}

fn mistaken(correct: &Value, make: fn(&mut Value)) -> Value {
    let mut conf = correct.clone();
    make(&mut conf);
    conf
}

/// DEL succeeds, and releases every address.
#[track_caller]
fn assert_deletes(lab: &Lab, call: &Invocation) {
    for _ in 0..2 {
        lab.node.run(call).silent();
    }
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.kept(), [""; 0]);
}

#[test]
fn del_succeeds_after_a_failed_add() {
    for delegates in Delegates::BOTH {
        for (key, make) in MISTAKES {
            let Some((lab, correct)) = lab(delegates) else {
                return;
            };
            let wrong = mistaken(&correct, make);
            let container = Container::new("a");
            let add = lab.node.run(&lab.call("ADD", &container, &wrong));
            if add.code == Some(0) {
                // The Go plugin ignores the key.
                assert_eq!(delegates, Delegates::Debians, "{key}");
                lab.del(&container, &correct);
            }
            // Some runtimes neither repeat DEL nor call GC.
            assert_eq!(lab.kept(), [""; 0], "{key}: {add}");
            let del = |conf| lab.call("DEL", &container, conf);
            // The Go plugins use code 999 for any failure.
            let says_why = delegates == Delegates::Ours && key != "master";
            if says_why {
                assert_deletes(&lab, &del(&wrong));
            }
            assert_deletes(&lab, &del(&correct));
            if lab.links().iter().any(|link| link == BRIDGE) {
                // The Go plugin cannot use a bridge that its own failed ADD has left without a
                // port.
                lab.node.ip(&format!("link delete {BRIDGE}"));
            }
            lab.add(&container, &correct);
            lab.del(&container, &correct);
            assert_nothing_left(&lab, &[&container]);
            assert_eq!(lab.node.read("/run/a-file"), "precious");
        }
    }
}

/// The kept configuration contains the mistake, as after a killed ADD.
#[test]
fn a_kept_mistake_fails_at_most_one_del() {
    for delegates in Delegates::BOTH {
        for (key, make) in MISTAKES {
            let Some((lab, correct)) = lab(delegates) else {
                return;
            };
            let container = Container::new("a");
            lab.add(&container, &correct);
            // No address was allocated there.
            let is_elsewhere = key == "ipam.dataDir";
            let file = format!("{SCRATCH}/a");
            let original = lab.node.read(&file);
            if is_elsewhere {
                lab.del(&container, &correct);
            }
            let mut kept: Value = serde_json::from_str(&original).unwrap();
            let wrong = mistaken(&correct, make);
            for (key, value) in wrong["delegate"].as_object().unwrap() {
                kept[key] = value.clone();
            }
            for (key, value) in wrong["ipam"].as_object().into_iter().flatten() {
                kept["ipam"][key] = value.clone();
            }
            lab.node.write(&file, kept.to_string());

            let del = lab.call("DEL", &container, &correct);
            let first = lab.node.run(&del);
            if first.code != Some(0) {
                let failure = first.failure();
                assert!(
                    failure.msg.contains(&format!("kept in {file}")),
                    "{key}: {failure:?}"
                );
                // The container's address is not allocated again.
                let expected = if is_elsewhere { 0 } else { 2 };
                assert_eq!(lab.taken(NETWORK).len(), expected, "{key}");
                lab.node.run(&del).silent();
            }
            assert_nothing_left(&lab, &[&container]);
            lab.node.run(&del).silent();
        }
    }
}

#[test]
fn an_add_without_the_ipam_plugin_keeps_nothing() {
    for delegates in Delegates::BOTH {
        let Some((lab, conf)) = lab(delegates) else {
            return;
        };
        let container = Container::new("a");
        // A directory with the delegate alone.
        let bridge = tempfile::tempdir().unwrap();
        let program = match delegates {
            Delegates::Ours => testkit::binaries::plugin("bridge"),
            Delegates::Debians => format!("{}/bridge", testkit::requirements::REFERENCE_DIR).into(),
        };
        std::os::unix::fs::symlink(program, bridge.path().join("bridge")).unwrap();
        let call = |command| lab.call(command, &container, &conf).path(bridge.path());
        lab.node.run(&call("ADD")).failure();
        assert_eq!(lab.kept(), [""; 0]);
        if delegates == Delegates::Ours {
            lab.node.run(&call("DEL")).silent();
        }
        // Once the IPAM plugin is installed, DEL releases everything.
        assert_deletes(&lab, &lab.call("DEL", &container, &conf));
        assert_eq!(container.link_names(), ["lo"]);
    }
}

/// No configuration is kept, and the mistake is not corrected.
#[test]
fn with_nothing_kept_a_mistake_fails_one_del() {
    for delegates in Delegates::BOTH {
        for (key, make) in MISTAKES {
            let Some((lab, correct)) = lab(delegates) else {
                return;
            };
            let container = Container::new("a");
            lab.add(&container, &correct);
            lab.node
                .enter(|| fs::remove_file(format!("{SCRATCH}/a")))
                .unwrap();
            let wrong = mistaken(&correct, make);
            let del = lab.call("DEL", &container, &wrong);
            let first = lab.node.run(&del);
            if first.code != Some(0) {
                // Both use Debian's macvlan.
                let is_debians = delegates == Delegates::Debians || key == "master";
                assert!(is_debians, "{key}: {first}");
                lab.node.run(&del).silent();
            }
            assert_eq!(lab.kept(), [""; 0], "{key}");
            // GC finds the address in spite of the mistake.
            lab.del(&container, &correct);
            assert_eq!(lab.taken(NETWORK), [""; 0], "{key}");
        }
    }
}

/// The list has 1.1.0, for GC. Debian's delegates support at most 1.0.0, and not GC.
#[test]
fn gc_works_with_a_mistake_and_with_a_delegate_without_gc() {
    for delegates in Delegates::BOTH {
        for (key, make) in MISTAKES {
            let Some((lab, correct)) = lab(delegates) else {
                return;
            };
            let containers = ["a", "b", "c"].map(Container::new);
            for container in &containers {
                lab.add(container, &correct);
            }
            // The first has the mistake, the second has lost its file, the third has neither.
            let file = format!("{SCRATCH}/a");
            let original = lab.node.read(&file);
            let mut kept: Value = serde_json::from_str(&original).unwrap();
            let wrong = mistaken(&correct, make);
            for (key, value) in wrong["delegate"].as_object().unwrap() {
                kept[key] = value.clone();
            }
            for (key, value) in wrong["ipam"].as_object().into_iter().flatten() {
                kept["ipam"][key] = value.clone();
            }
            lab.node.write(&file, kept.to_string());
            lab.node
                .enter(|| fs::remove_file(format!("{SCRATCH}/b")))
                .unwrap();

            let mut list = netconf("1.1.0");
            list["cni.dev/valid-attachments"] = json!([]);
            let gc = lab.call("GC", &containers[0], &list);
            let gc = ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"]
                .into_iter()
                .fold(gc, Invocation::without);
            let first = lab.node.run(&gc);
            // The mistake does not delay the others.
            assert!(!lab.kept().contains(&"c".to_owned()), "{key}: {first}");
            if first.code != Some(0) {
                let failure = first.failure();
                assert!(
                    failure.msg.starts_with("eth0 of container a: ")
                        && failure.msg.contains(&format!("kept in {file}")),
                    "{key}: {failure:?}"
                );
                lab.node.run(&gc).silent();
            }
            assert_eq!(lab.kept(), [""; 0], "{key}");
            let expected = match delegates {
                Delegates::Ours => 0,
                // Debian's host-local does not support GC, and no file names the addresses of b.
                Delegates::Debians => 2,
            };
            let taken = lab.taken(NETWORK);
            assert_eq!(taken.len(), expected, "{key}: {taken:?}");
        }
    }
}
