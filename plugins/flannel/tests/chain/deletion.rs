//! DEL without the container's network namespace.

use std::fs;
use std::os::unix::fs::symlink;

use crate::lab::{Container, Delegates, Lab, NETWORK, netconf};
use crate::lease::DUAL_STACK;

#[test]
fn del_with_a_missing_namespace_releases_everything() {
    let Some(lab) = Lab::new(&DUAL_STACK) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    // A name of its own, because the number of a closed file is soon reused.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    symlink(container.sandbox.path(), &path).unwrap();
    let call = lab.call("ADD", &container, &netconf).netns(&path);
    let result = lab.node.run(&call).success();
    assert_eq!(result["interfaces"][2]["sandbox"], path.to_str().unwrap());
    fs::remove_file(&path).unwrap();
    drop(container);
    let del = call.command("DEL");
    lab.node.run(&del).silent();
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.kept(), [""; 0]);
    lab.node.run(&del).silent();
}

#[test]
fn del_with_a_path_that_is_no_namespace_releases_everything() {
    let Some(lab) = Lab::with(Delegates::Debians, &DUAL_STACK) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    lab.add(&container, &netconf);
    // `ip netns add` leaves such a file when only the mount is gone.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "").unwrap();
    let del = lab.call("DEL", &container, &netconf).netns(&path);
    drop(container);
    // Debian's bridge would fail with the path, so it gets none.
    lab.node.run(&del).silent();
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.kept(), [""; 0]);
    lab.node.run(&del).silent();
}

#[test]
fn del_with_an_empty_path_releases_everything() {
    let Some(lab) = Lab::new(&DUAL_STACK) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    lab.add(&container, &netconf);
    let del = lab.call("DEL", &container, &netconf).netns("");
    lab.node.run(&del).silent();
    // bridge finds the pair by the node's end.
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.kept(), [""; 0]);
    lab.node.run(&del).silent();
    drop(container);

    let again = Container::new("a");
    lab.add(&again, &netconf);
    lab.del(&again, &netconf);
    assert_eq!(again.link_names(), ["lo"]);
    assert_eq!(lab.kept(), [""; 0]);
}
