//! `CNI_NETNS` does not lead to a container's network namespace.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::refusal::{Fails, Scene};
use crate::support::conf::{dual_stack, ipv4, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::{Side, both, ours};

both!(
    a_missing_path_is_refused,
    a_file_that_is_no_network_namespace_is_refused,
    the_nodes_own_namespace_is_refused
);
ours!(
    a_path_that_is_not_utf8,
    del_with_the_nodes_namespace_spares_the_nodes_links,
    del_resolves_the_path_once,
);

fn a_missing_path_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let path = "/run/netns/none";
    for keys in [json!({}), json!({ "bridge": "new0", "isGateway": true })] {
        let conf = dual_stack(keys);
        let call = lab.call("ADD", &scene.container, &conf).netns(path);
        scene.refuses(&call, 8, &["CNI_NETNS", path], Fails);
        let before = scene.snapshot();
        lab.node.run(&call.clone().command("DEL")).silent();
        if lab.side == Side::Ours {
            assert_eq!(before, scene.snapshot());
            assert_eq!(lab.find_link("new0"), None);
        }
        let conf = with(conf, json!({ "prevResult": { "cniVersion": "1.0.0" } }));
        let call = lab.call("CHECK", &scene.container, &conf).netns(path);
        scene.refuses(&call, 8, &["CNI_NETNS", path], Fails);
    }
}

fn a_file_that_is_no_network_namespace_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [&*file, directory.path(), "/dev/null".as_ref()] {
        let call = lab.call("ADD", &scene.container, &dual_stack(json!({})));
        let call = call.netns(path);
        scene.refuses(&call, 8, &["CNI_NETNS", path.to_str().unwrap()], Fails);
    }
    // A namespace of another kind.
    let call = lab.call("ADD", &scene.container, &dual_stack(json!({})));
    let call = call.netns("/proc/self/ns/uts");
    scene.refuses(&call, 8, &["CNI_NETNS", "/proc/self/ns/uts"], Fails);
}

/// The Go plugins of this version attach the node to itself.
fn the_nodes_own_namespace_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let call = lab.call("ADD", &scene.container, &dual_stack(json!({})));
    let call = call.netns("/proc/self/ns/net");
    scene.refuses(
        &call,
        8,
        &["CNI_NETNS", "/proc/self/ns/net"],
        crate::refusal::Takes,
    );
}

/// A result cannot name the path. DEL has no result.
fn a_path_that_is_not_utf8(lab: &Lab) {
    let scene = Scene::new(lab);
    let directory = tempfile::tempdir().unwrap();
    let path_to = |container: &Container| {
        let name = [container.id.as_bytes(), b"\xff"].concat();
        let path = directory.path().join(OsStr::from_bytes(&name));
        symlink(container.sandbox.path(), &path).unwrap();
        path
    };
    let path = path_to(&scene.container);
    for keys in [json!({}), json!({ "bridge": "new0", "isGateway": true })] {
        let call = lab.call("ADD", &scene.container, &dual_stack(keys));
        let shown = path.to_string_lossy();
        let says = format!("CNI_NETNS {shown:?} is not UTF-8");
        scene.refuses(&call.netns(&path), 4, &[&says], Fails);
    }
    assert_eq!(scene.container.link_names(), ["lo"]);
    assert_eq!(lab.find_link("new0"), None);

    let attached = &scene.attached;
    assert_eq!(attached.link_names(), ["lo", "eth0"]);
    let del = lab.call("DEL", attached, &dual_stack(json!({})));
    lab.node.run(&del.netns(path_to(attached))).silent();
    assert_eq!(attached.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
}

/// Address and rules are released; the node's own `eth0`, also a veth, stays.
fn del_with_the_nodes_namespace_spares_the_nodes_links(lab: &Lab) {
    lab.ip("link add eth0 type veth peer name uplink");
    let container = Container::new("a");
    let conf = ipv4(json!({ "isDefaultGateway": true, "ipMasq": true }));
    lab.add(&container, &conf);
    assert_eq!(lab.taken(), ["10.1.1.2"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    for netns in ["/proc/self/ns/net".as_ref(), file.path()] {
        let del = lab.call("DEL", &container, &conf).netns(netns);
        lab.node.run(&del).silent();
        assert_eq!(lab.taken(), [""; 0]);
        assert_eq!(lab.ruleset(), "");
        assert!(lab.find_link("eth0").is_some());
    }
}

/// The namespace that is compared with the node's own is the one that is entered.
fn del_resolves_the_path_once(lab: &Lab) {
    const CALLS: usize = 200;
    lab.ip("link add eth0 type veth peer name uplink");
    let container = Container::new("a");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("netns");
    let of_node = lab.node.enter(|| fs::read_link("/proc/thread-self/ns/net"));
    // Each call's own namespace is the node's.
    let (node, sandbox) = (Path::new("/proc/self/ns/net"), container.sandbox.path());
    assert_ne!(fs::read_link(&sandbox).ok(), of_node.ok());
    symlink(&sandbox, &path).unwrap();
    let call = lab.call("DEL", &container, &ipv4(json!({}))).netns(&path);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let new = directory.path().join("new");
            while !is_over.load(Ordering::Relaxed) {
                for target in [node, &sandbox] {
                    symlink(target, &new).unwrap();
                    fs::rename(&new, &path).unwrap();
                }
            }
        });
        for _ in 0..CALLS {
            lab.node.run(&call);
            if lab.find_link("eth0").is_none() {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(lab.find_link("eth0").is_some(), "the node's link is gone");
}
