//! A list by which plugins would call each other for ever.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::binaries;
use testkit::requirements::REFERENCE_DIR;

use crate::attached::assert_nothing_left;
use crate::lab::{Container, Delegates, Lab, NETWORK, SCRATCH, netconf};
use crate::lease::DUAL_STACK;

/// What a call may take that goes round once.
const SOON: Duration = Duration::from_secs(20);

/// bridge calls its IPAM plugin with its own configuration, and flannel would call bridge with
/// that.
#[test]
fn an_ipam_plugin_that_is_flannel() {
    let flannel = binaries::plugin("flannel");
    // argv[0] selects the plugin of a multi-call binary: under this name it is none.
    let is_none = flannel.is_symlink();
    for delegates in Delegates::BOTH {
        let Some(lab) = Lab::with(delegates, &DUAL_STACK) else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        symlink(&flannel, directory.path().join("my-ipam")).unwrap();
        let mut netconf = netconf("1.0.0");
        let container = Container::new("a");
        let call = |command: &str, netconf: &Value| {
            let call = lab.call(command, &container, netconf).limit(SOON);
            let paths = [
                directory.path(),
                lab.plugins.path(),
                Path::new(REFERENCE_DIR),
            ];
            lab.node.run(&call.paths(paths))
        };
        // The bridge is there from now on.
        call("ADD", &netconf).success();
        call("DEL", &netconf).silent();

        netconf["ipam"] = json!({"type": "my-ipam"});
        let failure = call("ADD", &netconf).failure();
        let (code, told) = if is_none {
            (
                4,
                "the name that the program was started by, \"my-ipam\", is no plugin's",
            )
        } else {
            (
                7,
                "flannel is called as \"bridge\", and delegate.type is that as well: it would call itself for ever",
            )
        };
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.msg.contains(told), "{failure:?}");
        if is_none {
            // For all that flannel knows, this failure may pass: it holds up one DEL.
            let failure = call("DEL", &netconf).failure();
            assert!(failure.msg.contains(told), "{failure:?}");
        }
        call("DEL", &netconf).silent();
        assert_nothing_left(&lab, &[&container]);
    }
}

/// What the Go flannel could have kept, of an ADD that was killed while plugins called each other.
#[test]
fn a_circle_that_was_kept_is_not_gone_round_again() {
    for delegates in Delegates::BOTH {
        let Some(lab) = Lab::with(delegates, &DUAL_STACK) else {
            return;
        };
        let correct = netconf("1.0.0");
        for (key, name) in [
            ("ipam", "bridge"),
            ("ipam", "macvlan"),
            ("ipam", "flannel"),
            ("ipam", "ptp"),
            ("type", "flannel"),
        ] {
            for is_corrected in [true, false] {
                let container = Container::new("a");
                lab.add(&container, &correct);
                let file = format!("{SCRATCH}/a");
                let mut kept: Value = serde_json::from_str(&lab.node.read(&file)).unwrap();
                kept.as_object_mut().unwrap().remove("twill/ifname");
                let mut list = correct.clone();
                if key == "type" {
                    kept["type"] = name.into();
                    list["delegate"]["type"] = name.into();
                } else {
                    // No such ADD has given addresses.
                    lab.del(&container, &correct);
                    kept["ipam"]["type"] = name.into();
                    list["ipam"] = json!({"type": name});
                }
                lab.node.write(&file, kept.to_string());
                if is_corrected {
                    list = correct.clone();
                }
                let call = |command| lab.call(command, &container, &list).limit(SOON);
                let failure = lab.node.run(&call("CHECK")).failure();
                assert_eq!(failure.code, 7, "{failure:?}");
                assert!(
                    failure.msg.contains("would call itself for ever")
                        && failure.msg.contains(&file),
                    "{failure:?}"
                );
                lab.node.run(&call("DEL")).silent();
                // The addresses at least, where nobody knows which delegate it was.
                assert_eq!(lab.taken(NETWORK), [""; 0], "{key} {name}");
                assert_eq!(lab.kept(), [""; 0], "{key} {name}");
                if key != "type" || is_corrected {
                    assert_eq!(container.link_names(), ["lo"], "{key} {name}");
                }
            }
        }
    }
}

/// A list by which a delegate of others would call itself is refused before that is started.
#[test]
fn an_ipam_plugin_that_gives_no_addresses() {
    let Some(lab) = Lab::with(Delegates::Debians, &DUAL_STACK) else {
        return;
    };
    let container = Container::new("a");
    for name in [
        "bandwidth",
        "bridge",
        "dummy",
        "firewall",
        "host-device",
        "ipvlan",
        "loopback",
        "macvlan",
        "portmap",
        "ptp",
        "sbr",
        "tap",
        "tuning",
        "vlan",
        "vrf",
    ] {
        let mut list = netconf("1.1.0");
        list["ipam"] = json!({"type": name});
        list["cni.dev/valid-attachments"] = json!([]);
        for command in ["ADD", "STATUS", "GC"] {
            let call = lab.call(command, &container, &list).limit(SOON);
            let failure = lab.node.run(&call).failure();
            assert!(
                failure.msg.starts_with(&format!(
                    "network configuration: ipam.type {name} is no IPAM plugin"
                )),
                "{failure:?}"
            );
        }
        lab.node
            .run(&lab.call("DEL", &container, &list).limit(SOON))
            .silent();
    }
    assert_eq!(lab.kept(), [""; 0]);
    assert_eq!(lab.links(), ["lo"]);
}
