//! A kill of bridge during an ADD with `ipMasqBackend` `iptables`, while a program of iptables is
//! at work. The DEL that follows at once leaves no rule.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Invocation;

use crate::support::conf::ipv4;
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;

ours!(
    a_program_ends_with_the_plugin,
    del_waits_for_the_children_of_a_program,
);

/// The real programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn conf() -> Value {
    ipv4(json!({ "ipMasq": true, "ipMasqBackend": "iptables" }))
}

/// A slow iptables: the script reports its input, waits, and runs the real program.
fn a_program_ends_with_the_plugin(lab: &Lab) {
    kill_while(
        lab,
        "input=$(cat); touch here/started; sleep 1; printf '%s\n' \"$input\" | exec \
            iptables-restore \"$@\"",
    );
}

/// Only the plugin's own child is killed with it. The child's children complete their work.
fn del_waits_for_the_children_of_a_program(lab: &Lab) {
    kill_while(
        lab,
        "input=$(cat); (touch here/started; sleep 1; printf '%s\n' \"$input\" | iptables-restore \
            \"$@\"); exit",
    );
}

#[track_caller]
fn kill_while(lab: &Lab, script: &str) {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let slow = here.join("iptables-restore");
    let script = script.replace("here", here.to_str().unwrap());
    fs::write(&slow, format!("#!/bin/sh\nPATH={PATH}\n{script}\n")).unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();

    let container = Container::new("a");
    let call = |command: &str| -> Invocation { lab.call(command, &container, &conf()) };
    // As after an earlier successful ADD, the table of iptables exists.
    lab.node.run(&call("ADD")).success();
    assert!(lab.ruleset().contains("CNI-"));
    lab.del(&container, &conf());
    let before = lab.ruleset();
    assert!(!before.contains("CNI-"), "{before}");

    let slow_first = format!("{}:{PATH}", here.display());
    let running = lab.node.start(&call("ADD").env("PATH", slow_first));
    wait_for(&here.join("started"));
    running.kill();
    running.wait();
    // Without the namespace, the rest of the DEL takes no time.
    lab.node.run(&call("DEL").without("CNI_NETNS")).silent();
    sleep(Duration::from_millis(1500));
    assert_eq!(lab.ruleset(), before);
    lab.del(&container, &conf());
}

#[track_caller]
fn wait_for(file: &Path) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !file.exists() {
        assert!(Instant::now() < give_up, "{} did not come", file.display());
        sleep(Duration::from_millis(2));
    }
}
