//! A DEL whose helper process, which waits for the kernel's acknowledgement, cannot be started or
//! is killed, and a DEL that is killed itself. strace injects the faults at a given system call.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::fs;

use serde_json::{Value, json};
use testkit::Outcome;
use testkit::removal::assert_no_process;

use crate::support::conf::{BRIDGE, layer2};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;

ours!(
    no_process_can_be_created,
    the_helper_is_killed,
    the_plugin_is_killed,
);

/// The system calls that create a process, on any architecture and in any C library.
const FORKS: &str = "clone,?clone3,?fork,?vfork";

/// Without IPAM, so that the helper is the only process that the plugin creates.
fn conf() -> Value {
    layer2(json!({ "bridge": BRIDGE }))
}

/// Attaches a container and runs its DEL under strace. Returns the outcome and the traced system
/// calls.
fn traced_del(lab: &Lab, container: &Container, options: &[&str]) -> (Outcome, String) {
    lab.add(container, &conf());
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("strace");
    let strace = ["strace", "-qq", "-o", log.to_str().unwrap()];
    let del = lab.call("DEL", container, &conf());
    let outcome = lab.node.run(&del.under(strace.iter().chain(options)));
    (outcome, fs::read_to_string(&log).unwrap())
}

/// Asserts that neither end of the pair exists any more.
#[track_caller]
fn assert_gone(lab: &Lab, container: &Container) {
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
    assert_eq!(container.link_names(), ["lo"]);
}

/// As at the limit `pids.max`. The plugin then waits for the kernel itself.
fn no_process_can_be_created(lab: &Lab) {
    let container = Container::new("a");
    for _ in 0..3 {
        let fails = format!("inject={FORKS}:error=EAGAIN");
        let (outcome, calls) = traced_del(lab, &container, &["-f", "-e", &fails]);
        assert!(calls.contains("EAGAIN"), "{calls}");
        outcome.silent();
        assert_gone(lab, &container);
    }
}

/// The helper is killed before it has sent the request: at its first system call, and at the last
/// one before the kernel has the request.
fn the_helper_is_killed(lab: &Lab) {
    let container = Container::new("a");
    // In a DEL that prints nothing, the plugin itself makes neither call.
    for call in ["close_range", "write"] {
        let kills = format!("inject={call}:signal=SIGKILL");
        let trace = format!("trace={call}");
        let (outcome, calls) = traced_del(lab, &container, &["-f", "-e", &trace, "-e", &kills]);
        assert!(calls.contains("killed by SIGKILL"), "{calls}");
        outcome.silent();
        assert_gone(lab, &container);
    }
    assert_no_process(lab);
}

/// The plugin is killed at each of its reads from the kernel. One comes before the helper exists,
/// the last ones after. As soon as the helper exists, even if it has not begun, the link is removed
/// without another DEL.
fn the_plugin_is_killed(lab: &Lab) {
    let container = Container::new("a");
    let (mut alone, mut with_other) = (0, 0);
    for read in 1.. {
        let kills = format!("inject=recvfrom:signal=SIGKILL:when={read}");
        // The delay, in microseconds.
        let delays = "inject=close_range:delay_enter=30000";
        let trace = "trace=recvfrom,close_range";
        let options = ["-f", "-e", trace, "-e", &kills, "-e", delays];
        let (outcome, calls) = traced_del(lab, &container, &options);
        if outcome.signal.is_none() {
            outcome.silent();
            break;
        }
        assert!(outcome.stdout.is_empty(), "{outcome}");
        if calls.contains("close_range") {
            with_other += 1;
            // strace has ended, and so has the helper.
            assert_gone(lab, &container);
        } else {
            alone += 1;
        }
        lab.del(&container, &conf());
        assert_gone(lab, &container);
    }
    assert!(alone > 0 && with_other > 0, "{alone}, {with_other}");
    assert_no_process(lab);
}
