//! The state at the end of a call that removes links. These tests run on every kernel.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::removal::{an_add_that_fails, assert_no_process, comes_and_goes};

use crate::support::conf::{BRIDGE, dual_stack, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;

ours!(
    del_with_a_namespace_removes_the_pair_at_once,
    del_without_a_namespace_removes_the_pair_at_once,
    del_of_a_missing_namespace_removes_the_pair_at_once,
    del_of_a_held_namespace_removes_the_pair_at_once,
    a_failed_add_removes_the_pair_at_once,
    gc_removes_many_pairs_at_once,
);

fn conf() -> Value {
    dual_stack(json!({ "isDefaultGateway": true, "hairpinMode": true }))
}

fn del_with_a_namespace_removes_the_pair_at_once(lab: &Lab) {
    let container = Container::new("a");
    comes_and_goes(lab, &container, &conf(), |del| lab.node.run(del).silent());
}

fn del_without_a_namespace_removes_the_pair_at_once(lab: &Lab) {
    let container = Container::new("a");
    let without = |del: &_| {
        let del = testkit::Invocation::clone(del).without("CNI_NETNS");
        lab.node.run(&del).silent();
    };
    comes_and_goes(lab, &container, &conf(), without);
}

/// The namespace of a container is gone before its DEL, and another container with the same ID and
/// address follows.
fn del_of_a_missing_namespace_removes_the_pair_at_once(lab: &Lab) {
    let conf = with(
        conf(),
        json!({ "args": { "cni": { "ips": ["10.1.1.77"] } } }),
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("netns");
    for _ in 0..10 {
        let container = Container::new("a");
        symlink(container.sandbox.path(), &path).unwrap();
        let add = lab.call("ADD", &container, &conf).netns(&path);
        lab.node.run(&add).success();
        std::fs::remove_file(&path).unwrap();
        drop(container);
        lab.node.run(&add.command("DEL")).silent();
        assert_eq!(lab.link_names(), ["lo", BRIDGE]);
        assert_eq!(lab.taken(), [""; 0]);
    }
    assert_no_process(lab);
}

/// An orphaned process holds the namespace of a container, and another container with the same name
/// follows.
fn del_of_a_held_namespace_removes_the_pair_at_once(lab: &Lab) {
    let conf = with(
        conf(),
        json!({ "args": { "cni": { "ips": ["10.1.1.77"] } } }),
    );
    for _ in 0..5 {
        let (left, next) = (Container::new("a"), Container::new("a"));
        lab.add(&left, &conf);
        let mut sleep = Command::new("sleep");
        sleep.arg("60").stdin(Stdio::null());
        let mut orphan = left.sandbox.enter(|| sleep.spawn()).unwrap();
        let del = lab.call("DEL", &left, &conf).without("CNI_NETNS");
        lab.node.run(&del).silent();
        assert_eq!(left.link_names(), ["lo"]);
        assert_eq!(left.routes(), [""; 0]);
        assert_eq!(lab.link_names(), ["lo", BRIDGE]);
        lab.add(&next, &conf);
        assert_eq!(next.link("eth0").addresses()[0], "10.1.1.77/24");
        orphan.kill().unwrap();
        orphan.wait().unwrap();
        lab.del(&next, &conf);
        assert_eq!(lab.link_names(), ["lo", BRIDGE]);
    }
    assert_no_process(lab);
}

fn a_failed_add_removes_the_pair_at_once(lab: &Lab) {
    an_add_that_fails(lab, &conf());
}

/// GC of many containers, with one valid.
fn gc_removes_many_pairs_at_once(lab: &Lab) {
    let conf = with(conf(), json!({ "cniVersion": "1.1.0" }));
    let containers: Vec<_> = (0..8).map(|i| Container::new(&format!("c{i}"))).collect();
    let (stays, go) = containers.split_first().unwrap();
    for _ in 0..2 {
        lab.add(stays, &conf);
        let port = lab.link_names().pop().unwrap();
        for container in go {
            lab.add(container, &conf);
        }
        assert_eq!(lab.links().len(), 2 + containers.len());
        let valid = json!([{ "containerID": stays.id, "ifname": "eth0" }]);
        let valid = json!({ "cni.dev/valid-attachments": valid });
        let gc = lab.call_alone("GC", &with(conf.clone(), valid));
        lab.node.run(&gc).silent();
        assert_eq!(lab.link_names(), ["lo", BRIDGE, port.as_str()]);
        for container in go {
            assert_eq!(container.link_names(), ["lo"]);
            assert_eq!(container.routes(), [""; 0]);
        }
        assert_eq!(lab.taken().len(), 2);
        for container in go {
            lab.add(container, &conf);
        }
        for container in &containers {
            lab.del(container, &conf);
        }
        assert_eq!(lab.link_names(), ["lo", BRIDGE]);
    }
    assert_no_process(lab);
}
