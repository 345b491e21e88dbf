//! Lists with which plugins would call each other without end.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::binaries;
use testkit::requirements::REFERENCE_DIR;

use crate::attached::assert_nothing_left;
use crate::lab::{Container, Delegates, Lab, NETWORK, SCRATCH, netconf};
use crate::lease::DUAL_STACK;

/// The time limit of a call that goes round once.
const SOON: Duration = Duration::from_secs(20);

/// A bridge passes its own configuration to its IPAM plugin. A flannel as IPAM plugin would run
/// bridge with that.
#[test]
fn a_delegate_whose_ipam_plugin_is_flannel_is_refused() {
    let flannel = binaries::plugin("flannel");
    // Under this name, the multi-call binary is not a plugin.
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
        // From now on, the bridge exists.
        call("ADD", &netconf).success();
        call("DEL", &netconf).silent();

        netconf["ipam"] = json!({"type": "my-ipam"});
        let failure = call("ADD", &netconf).failure();
        let (code, message) = if is_none {
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
        assert!(failure.msg.contains(message), "{failure:?}");
        if is_none {
            // The failure may be temporary as far as flannel knows, so it fails one DEL.
            let failure = call("DEL", &netconf).failure();
            assert!(failure.msg.contains(message), "{failure:?}");
        }
        call("DEL", &netconf).silent();
        assert_nothing_left(&lab, &[&container]);
    }
}

/// The Go flannel keeps such a configuration if an ADD is killed while plugins call each other.
#[test]
fn a_kept_circle_is_not_called_again() {
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
                    // Such an ADD cannot have allocated addresses.
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
                // If the delegate is unknown, at least the addresses are released.
                assert_eq!(lab.taken(NETWORK), [""; 0], "{key} {name}");
                assert_eq!(lab.kept(), [""; 0], "{key} {name}");
                if key != "type" || is_corrected {
                    assert_eq!(container.link_names(), ["lo"], "{key} {name}");
                }
            }
        }
    }
}

/// A list with which another project's delegate would call itself is refused before the delegate
/// starts.
#[test]
fn a_plugin_that_is_no_ipam_plugin_is_refused_as_one() {
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
