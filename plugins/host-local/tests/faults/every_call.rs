//! Each system call of an operation is killed or failed in turn.

use std::process::Output;

use serde_json::Value;

use crate::network::{Network, strace};

/// Runs a command once per system call on its state, each time with a fault in that call.
fn for_every_call(
    backend: &str,
    command: &str,
    tampering: &str,
    check: impl Fn(&Network, &Output, &str),
) {
    let Some(strace) = strace() else {
        return;
    };
    let prepared = || {
        let network = Network::new(backend);
        network.add("neighbour");
        if command == "DEL" {
            network.add("victim");
        }
        network
    };
    let calls = prepared().calls(&strace, command, "victim");
    assert!(calls.len() > 10, "{command} makes the calls {calls:?}");
    for call in calls {
        let network = prepared();
        let (call, number) = call;
        let tampering = format!("{tampering}:when={number}");
        let output = network.run_tampered(&strace, (command, "victim"), &[(&call, &tampering)]);
        let when = format!("{command} with {call}:{tampering}");
        check(&network, &output, &when);
        network.del("victim");
        network.del("victim");
        network.del("neighbour");
        network.audit(&when);
    }
}

fn killed_add(backend: &str) {
    for_every_call(backend, "ADD", "signal=SIGKILL", |network, output, when| {
        // The next operation on the network is somebody else's.
        network.add("next");
        if output.status.success() {
            assert!(network.holds_any("victim"), "{when}");
        } else {
            let held = network.count_held("victim");
            assert!(held == 0 || held == 2, "{held} addresses held, {when}");
        }
        network.del("next");
    });
}

fn killed_del(backend: &str) {
    for_every_call(backend, "DEL", "signal=SIGKILL", |network, output, when| {
        network.add("next");
        if output.status.success() {
            assert!(!network.holds_any("victim"), "{when}");
        }
        network.del("next");
    });
}

fn failed_add(backend: &str, errno: &str) {
    let tampering = format!("error={errno}");
    for_every_call(backend, "ADD", &tampering, |network, output, when| {
        assert_answered(output, when);
        // The next operation on the network is somebody else's.
        network.add("next");
        network.del("next");
        let given = output.status.success();
        if backend == "disk" && !was_not_heard(output) {
            let expected = if given { 2 } else { 0 };
            assert_eq!(network.count_held("victim"), expected, "{when}: {output:?}");
        }
        let held = network.holds_any("victim");
        // After a failed fdatasync, the database may or may not have the change.
        if given || backend == "disk" && !was_not_heard(output) {
            assert_eq!(held, given, "{when}: {output:?}");
        }
    });
}

fn failed_del(backend: &str, errno: &str) {
    let tampering = format!("error={errno}");
    for_every_call(backend, "DEL", &tampering, |network, output, when| {
        assert_answered(output, when);
        network.add("next");
        if output.status.success() {
            assert!(!network.holds_any("victim"), "{when}: {output:?}");
        }
        network.del("next");
    });
}

/// A plugin that is not killed reports the fault.
fn assert_answered(output: &Output, when: &str) {
    if output.status.success() {
        return;
    }
    let message = serde_json::from_slice::<Value>(&output.stdout);
    let message = message.is_ok_and(|error| error["code"].is_u64() && error["msg"].is_string());
    assert!(message || was_not_heard(output), "{when}: {output:?}");
}

/// Whether writing the answer failed. The caller then calls DEL.
fn was_not_heard(output: &Output) -> bool {
    !output.status.success() && output.stdout.is_empty()
}

#[test]
fn an_add_killed_at_any_call_loses_no_address() {
    killed_add("disk");
}

#[test]
fn a_del_killed_at_any_call_loses_no_address() {
    killed_del("disk");
}

#[test]
fn an_add_on_a_full_disk_loses_no_address() {
    failed_add("disk", "ENOSPC");
}

#[test]
fn an_add_with_io_errors_loses_no_address() {
    failed_add("disk", "EIO");
}

#[test]
fn an_add_without_permission_loses_no_address() {
    failed_add("disk", "EPERM");
}

#[test]
fn a_del_with_io_errors_loses_no_address() {
    failed_del("disk", "EIO");
}

#[test]
fn an_add_in_the_database_killed_at_any_call_loses_no_address() {
    killed_add("db");
}

#[test]
fn a_del_in_the_database_killed_at_any_call_loses_no_address() {
    killed_del("db");
}

#[test]
fn an_add_in_the_database_on_a_full_disk_loses_no_address() {
    failed_add("db", "ENOSPC");
}

#[test]
fn a_del_in_the_database_with_io_errors_loses_no_address() {
    failed_del("db", "EIO");
}
