//! Assertions that hold for every plugin that gives containers an interface.

use std::borrow::Borrow;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::conf::{NETWORK, with};
use crate::container::Container;
use crate::invocation::Invocation;
use crate::lab::Lab;
use crate::side::Side;

/// Answers of an IPAM plugin to ADD that are no results.
pub const NO_RESULTS: [&str; 9] = [
    "",
    "ok",
    "{",
    "[]",
    r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.300/24"}]}"#,
    r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.3"}]}"#,
    r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.3/24","gateway":"x"}]}"#,
    r#"{"cniVersion":"1.0.0","ips":"10.1.1.3/24"}"#,
    r#"{"cniVersion":"7.7.7","ips":[{"address":"10.1.1.3/24"}]}"#,
];

/// Answers of an IPAM plugin to ADD that are results without an address.
pub const NO_ADDRESSES: [&str; 3] = [
    r#"{"cniVersion":"1.0.0","ips":[]}"#,
    r#"{"cniVersion":"1.0.0"}"#,
    r#"{"cniVersion":"1.0.0","routes":[{"dst":"0.0.0.0/0"}],"dns":{}}"#,
];

/// CHECK succeeds for each of two attachments for as long as it is there.
#[track_caller]
pub fn check_follows_attachments<C: Borrow<Container>>(
    lab: &Lab,
    conf: &Value,
    container: impl Fn(&str) -> C,
) {
    for version in ["0.4.0", "1.0.0"] {
        let conf = with(conf.clone(), json!({ "cniVersion": version }));
        let (a, b) = (container("a"), container("b"));
        let (a, b) = (a.borrow(), b.borrow());
        let first = lab.add(a, &conf);
        lab.check(a, &conf, &first).silent();
        let second = lab.add(b, &conf);
        lab.check(a, &conf, &first).silent();
        lab.check(b, &conf, &second).silent();
        lab.del(a, &conf);
        lab.check(b, &conf, &second).silent();
        lab.check(a, &conf, &first).failure();
        lab.del(b, &conf);
        lab.check(b, &conf, &second).failure();
    }
}

/// CHECK fails while IPAM does not know these addresses of the attachment.
#[track_caller]
pub fn check_asks_ipam(
    lab: &Lab,
    container: &Container,
    conf: &Value,
    result: &Value,
    addresses: &[&str],
) {
    let files: Vec<String> = addresses
        .iter()
        .map(|address| format!("/var/lib/cni/networks/{NETWORK}/{address}"))
        .collect();
    let contents: Vec<String> = files.iter().map(|file| lab.node.read(file)).collect();
    for file in &files {
        lab.node.enter(|| fs::remove_file(file)).unwrap();
    }
    lab.check(container, conf, result).failure();
    for (file, contents) in files.iter().zip(contents) {
        lab.node.write(file, contents);
    }
    lab.check(container, conf, result).silent();
}

/// CHECK succeeds before the damage and fails after it.
#[track_caller]
pub fn check_finds(
    lab: &Lab,
    container: &Container,
    conf: &Value,
    result: &Value,
    damage: impl FnOnce(),
) {
    lab.check(container, conf, result).silent();
    damage();
    let outcome = lab.check(container, conf, result);
    let failure = outcome.failure();
    if lab.side == Side::Ours {
        assert_eq!(failure.code, 120, "{outcome}");
        assert_eq!(outcome.stderr_text(), "");
    }
}

/// CHECK fails with a result that is not true. With the true one it succeeds.
#[track_caller]
pub fn check_finds_lie(
    lab: &Lab,
    container: &Container,
    conf: &Value,
    mut result: Value,
    lie: impl FnOnce(&mut Value),
) {
    lab.check(container, conf, &result).silent();
    lie(&mut result);
    lab.check(container, conf, &result).failure();
}

/// DEL releases the addresses of a container whose namespace is gone, and can be repeated.
#[track_caller]
pub fn del_of_a_namespace_that_is_gone(lab: &Lab, container: impl Borrow<Container>, conf: &Value) {
    // Under a name of its own: the number of an open file may soon be another file's.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    symlink(container.borrow().sandbox.path(), &path).unwrap();
    let call = lab.call("ADD", container.borrow(), conf).netns(&path);
    lab.node.run(&call).success();
    fs::remove_file(&path).unwrap();
    drop(container);
    let del = call.command("DEL");
    lab.node.run(&del).silent();
    assert_eq!(lab.taken(), [""; 0]);
    lab.node.run(&del).silent();
}

/// DEL with a path that is no namespace any more releases the addresses. The Go plugins fail.
///
/// `ip netns add` leaves such a path when only the mount is gone, as after a reboot.
#[track_caller]
pub fn del_of_a_path_that_is_no_namespace(lab: &Lab, container: &Container, conf: &Value) {
    lab.add(container, conf);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "").unwrap();
    let del = lab.call("DEL", container, conf).netns(&path);
    let outcome = lab.node.run(&del);
    match lab.side {
        Side::Ours => {
            outcome.silent();
            assert_eq!(lab.taken(), [""; 0]);
        }
        Side::Reference => {
            let failure = outcome.failure();
            assert!(failure.msg.contains("unknown FS magic"), "{outcome}");
        }
    }
}

/// A DEL that is not as the ADD was releases the addresses all the same. The Go plugins fail.
#[track_caller]
pub fn damaged_del_releases(lab: &Lab, container: &Container, conf: &Value, del: &Invocation) {
    lab.add(container, conf);
    let outcome = lab.node.run(del);
    match lab.side {
        Side::Ours => outcome.silent(),
        Side::Reference => {
            outcome.failure();
            lab.del(container, conf);
        }
    }
    assert_eq!(container.link_names(), ["lo"], "{outcome}");
    assert_eq!(lab.taken(), [""; 0], "{outcome}");
}
