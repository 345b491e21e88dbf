//! The default directories, the network list, and what a node still needs.

use std::process::Command;

use serde_json::Value;
use testkit::Node;
use testkit::requirements::require_root;

use crate::support::{binary, run};

/// A node whose default directories of plugins are its own.
pub(crate) fn node() -> Node {
    let node = Node::new().unwrap();
    let script = "mount -t tmpfs none /opt && mkdir -p /opt/cni/bin && \
        { ! test -d /usr/lib/cni || mount -t tmpfs none /usr/lib/cni; } && \
        { ! test -d /usr/libexec/cni || mount -t tmpfs none /usr/libexec/cni; }";
    let mounted = node.enter(|| Command::new("sh").args(["-c", script]).status());
    assert!(mounted.unwrap().success());
    node
}

pub(crate) fn twill(node: &Node, words: &[&str]) -> String {
    let output = node.enter(|| run(&binary(), words));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn needed(printed: &str) -> Vec<&str> {
    let lines = printed.lines();
    lines
        .filter_map(|line| line.strip_prefix("needed: "))
        .collect()
}

#[test]
fn a_fresh_node_gets_plugins_and_a_network_list() {
    if !require_root() {
        return;
    }
    let node = node();
    let printed = twill(&node, &["install"]);
    assert!(
        printed.starts_with("/opt/cni/bin/bandwidth: installed\n"),
        "{printed}"
    );
    assert_eq!(
        needed(&printed),
        [
            "a network list in /etc/cni/net.d: `twill install --conflist` writes kube-flannel's",
            "flanneld, which has not written /run/flannel/subnet.env yet",
        ]
    );
    assert_eq!(node.list("/opt/cni/bin").len(), 9);

    let list = "/etc/cni/net.d/10-flannel.conflist";
    let printed = twill(&node, &["install", "--conflist", "--dry-run"]);
    assert!(
        printed.contains(&format!("{list}: would be written\n")),
        "{printed}"
    );
    assert_eq!(node.list("/etc/cni"), [""; 0]);
    let printed = twill(&node, &["install", "--conflist"]);
    assert!(printed.contains(&format!("{list}: written\n")), "{printed}");
    assert_eq!(
        needed(&printed),
        ["flanneld, which has not written /run/flannel/subnet.env yet"]
    );
    let written: Value = serde_json::from_str(&node.read(list)).unwrap();
    assert_eq!(written["plugins"][0]["type"], "flannel");
    assert_eq!(node.list("/etc/cni/net.d"), ["10-flannel.conflist"]);

    // A second run writes nothing, and nor does a run beside another list.
    node.write(list, "{}");
    let printed = twill(&node, &["install", "--conflist"]);
    assert!(
        printed.contains(&format!("{list}: unchanged, it is a network list\n")),
        "{printed}"
    );
    assert_eq!(node.read(list), "{}");
    let useless = format!("a network list that can be used: {list}: ");
    assert!(needed(&printed)[0].starts_with(&useless), "{printed}");

    let printed = twill(&node, &["uninstall"]);
    assert!(
        printed.contains("/opt/cni/bin/flannel: removed\n"),
        "{printed}"
    );
    assert_eq!(node.list("/opt/cni/bin"), [""; 0]);
}

#[test]
fn missing_plugins_of_a_list_are_reported() {
    if !require_root() {
        return;
    }
    let node = node();
    node.write("/run/flannel/subnet.env", "");
    node.write(
        "/etc/cni/net.d/87-podman.conflist",
        r#"{"plugins": [{"type": "bridge", "ipam": {"type": "host-local"}}, {"type": "portmap"},
            {"type": "firewall"}, {"type": "tuning"}]}"#,
    );
    let printed = twill(&node, &["install", "--conflist"]);
    let list = "/etc/cni/net.d/87-podman.conflist";
    assert!(
        printed.contains(&format!("{list}: unchanged, it is a network list\n")),
        "{printed}"
    );
    assert_eq!(
        needed(&printed),
        [format!(
            "firewall, tuning for {list}: they are not in the directories above; the Go plugins \
                have them"
        )]
    );
    assert_eq!(node.list("/etc/cni/net.d"), ["87-podman.conflist"]);
}
