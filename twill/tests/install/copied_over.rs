//! kube-flannel's init container, which copies its `flannel` over ours at every start of its pod.

use std::fs;
use std::process::Command;

use serde_json::json;
use testkit::requirements::require_root;
use testkit::{Container, Invocation, Node, conf};

use crate::support::{NAMES, Plugins, binary};

/// A meta plugin in the manner of the Go `flannel`: it runs `bridge`, whatever that is.
const META_PLUGIN: &str = "#!/bin/sh\nsed 's/\"flannel\"/\"bridge\"/' | \"$CNI_PATH/bridge\"\n";

#[test]
fn a_copy_over_flannel_leaves_the_others_whole() {
    if !require_root() {
        return;
    }
    let plugins = Plugins::new();
    plugins.run(&["install"]);
    let image = Plugins::new();
    image.write("flannel", META_PLUGIN);
    let copy = Command::new("cp")
        .arg("-f")
        .args([image.path("flannel"), plugins.path("flannel")])
        .status();
    assert!(copy.unwrap().success());
    let ours = fs::read(binary()).unwrap();
    for name in NAMES {
        assert_eq!(plugins.read(name) == ours, name != "flannel", "{name}");
    }

    // Their `flannel` works with our `bridge`, in a bounded number of processes.
    let (node, container) = (Node::new().unwrap(), Container::new("c1"));
    let keys = json!({ "type": "flannel", "bridge": "cni0", "isGateway": true });
    let conf = conf::with(conf::of("flannel", keys), conf::host_local(&[conf::SUBNET]));
    let call = |command: &str| {
        Invocation::attach(plugins.path("flannel"), command, &container.id)
            .netns(container.sandbox.path())
            .config(&conf)
    };
    let result = node.run(&call("ADD")).success();
    assert_eq!(result["ips"][0]["address"], "10.1.1.2/24");
    assert_eq!(container.link_names(), ["lo", "eth0"]);
    node.run(&call("DEL")).silent();
    assert_eq!(container.link_names(), ["lo"]);

    // The next installation restores ours, and the one after an uninstallation theirs.
    plugins.run(&["install"]);
    assert!(plugins.read("flannel") == ours);
    plugins.run(&["uninstall"]);
    assert_eq!(plugins.list(), ["flannel"]);
    assert_eq!(plugins.read("flannel"), META_PLUGIN.as_bytes());
}
