//! DEL when the container's network namespace is gone, or was never told.

use std::fs;
use std::os::unix::fs::symlink;

use crate::lab::{Container, Delegates, Lab, NETWORK, netconf};
use crate::lease::DUAL_STACK;

#[test]
fn a_namespace_that_is_gone() {
    let Some(lab) = Lab::new(&DUAL_STACK) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    // Under a name of its own: the number of an open file may soon be another file's.
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
fn a_namespace_path_that_is_no_namespace_any_more() {
    let Some(lab) = Lab::with(Delegates::Debians, &DUAL_STACK) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    lab.add(&container, &netconf);
    // What is left of `ip netns add` when only the mount is gone.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "").unwrap();
    let del = lab.call("DEL", &container, &netconf).netns(&path);
    drop(container);
    // Debian's bridge would take it for a mistake, so it is told of none.
    lab.node.run(&del).silent();
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.kept(), [""; 0]);
    lab.node.run(&del).silent();
}

#[test]
fn an_empty_namespace_path() {
    let Some(lab) = Lab::new(&DUAL_STACK) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    lab.add(&container, &netconf);
    let del = lab.call("DEL", &container, &netconf).netns("");
    lab.node.run(&del).silent();
    // bridge finds the link by its other end.
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
