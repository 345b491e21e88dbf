//! A kernel without the module.

use std::process::Command;

use serde_json::json;
use testkit::wire::{Container, Lab};
use testkit::{Snapshot, assert_same};

use crate::side::{Side, both_on_any_kernel};

both_on_any_kernel!(the_error_names_the_missing_module);

/// Skipped if the kernel has the module.
fn the_error_names_the_missing_module(lab: &Lab) {
    let probe = || {
        let mut ip = Command::new("ip");
        ip.args("link add probe0 link wire0 type ipvlan".split(' '));
        ip.output().unwrap().status.success()
    };
    if lab.node.enter(probe) {
        return;
    }
    let container = Container::new("c");
    let before = Snapshot::take(lab, &[&container]);
    let outcome = lab
        .node
        .run(&lab.call("ADD", &container, &lab.ipv4(json!({}))));
    let failure = outcome.failure();
    if lab.side == Side::Ours {
        assert_eq!(failure.code, 5, "{outcome}");
        assert!(failure.msg.contains("load the module ipvlan"), "{outcome}");
        assert_same(&before, &Snapshot::take(lab, &[&container]), "ADD");
    }
}
