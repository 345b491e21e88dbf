//! The journal: an ADD records in the index's header the addresses that it is about to allocate,
//! and the next operation rolls a record back. So a successful ADD must have cleared its record,
//! whatever else fails.

use std::process::Output;

use crate::network::{Network, strace};

/// The writes to the index at the end of an ADD: its fifth write to the index or to
/// `last_reserved_ip`, and all later ones.
const WRITES_AT_THE_END: (&str, &str) = ("pwrite64", "error=EIO:when=5+");

fn prepared() -> Network {
    let network = Network::new("disk");
    network.add("neighbour");
    network
}

/// An ADD with these faults succeeds, and later operations do not roll it back.
#[track_caller]
fn stays(tamperings: &[(&str, &str)]) {
    let Some(strace) = strace() else {
        return;
    };
    let network = prepared();
    let output = network.run_tampered(&strace, ("ADD", "victim"), tamperings);
    assert!(output.status.success(), "{output:?}");
    network.add("next");
    assert_eq!(network.count_held("victim"), 2);
    network.del("next");
    assert_eq!(network.count_held("victim"), 2);
    network.del("victim");
    network.del("neighbour");
    network.audit("after the faults");
}

/// The error names the failed action on the index, and the reason in the C library's words.
#[track_caller]
fn assert_broken_index(network: &Network, output: &Output, verb: &str) {
    let answer = String::from_utf8_lossy(&output.stdout);
    let index = network.directory.path().join(".index/net");
    let start = format!(
        "{{\"cniVersion\":\"1.0.0\",\"code\":5,\"msg\":\"cannot {verb} {}: ",
        index.display()
    );
    assert!(answer.starts_with(&start), "{answer}");
    assert!(answer.ends_with(" (os error 5)\"}\n"), "{answer}");
}

#[test]
fn an_add_that_cannot_write_the_index_stays() {
    stays(&[WRITES_AT_THE_END]);
}

#[test]
fn an_add_that_can_only_remove_the_index_stays() {
    stays(&[WRITES_AT_THE_END, ("ftruncate", "error=EIO")]);
}

#[test]
fn an_add_that_cannot_set_the_directorys_time_stays() {
    // The times of the two address files can be set.
    stays(&[("utimensat", "error=EPERM:when=3+")]);
}

#[test]
fn an_add_that_can_set_no_time_stays() {
    stays(&[("utimensat", "error=EPERM")]);
}

#[test]
fn an_add_without_hard_links_stays() {
    for errno in ["EPERM", "EOPNOTSUPP"] {
        stays(&[("linkat", &format!("error={errno}"))]);
    }
}

#[test]
fn an_add_whose_record_cannot_be_cleared_fails() {
    let Some(strace) = strace() else {
        return;
    };
    let network = prepared();
    // The first two concern `.new`.
    let tamperings = [
        WRITES_AT_THE_END,
        ("ftruncate", "error=EIO"),
        ("unlinkat", "error=EIO:when=3"),
    ];
    let output = network.run_tampered(&strace, ("ADD", "victim"), &tamperings);
    assert_broken_index(&network, &output, "remove");
    assert_eq!(network.count_held("victim"), 0);
    // The record does not affect the next ADD either.
    network.add("victim");
    network.add("next");
    assert_eq!(network.count_held("victim"), 2);
    for container_id in ["next", "victim", "neighbour"] {
        network.del(container_id);
    }
    network.audit("after the faults");
}

/// The record of a killed ADD is rolled back once. It must not be found again when the same
/// attachment has the same addresses again.
#[test]
fn the_record_of_a_killed_add_is_rolled_back_once() {
    let Some(strace) = strace() else {
        return;
    };
    for faults in [
        // No index can be created under its name, and in the second case the old one cannot be
        // removed.
        &[("renameat", "error=ENOSPC:when=1")][..],
        &[
            ("renameat", "error=ENOSPC:when=1"),
            ("unlinkat", "error=EIO:when=4"),
        ],
    ] {
        let network = prepared();
        let killed = network.run_tampered(
            &strace,
            ("ADD", "victim"),
            &[("pwrite64", "signal=SIGKILL:when=5")],
        );
        assert_eq!(killed.stdout, b"");
        assert_eq!(network.count_held("victim"), 2);
        let output = network.run_tampered(&strace, ("ADD", "victim"), faults);
        assert!(output.status.success(), "{output:?}");
        network.add("next");
        assert_eq!(network.count_held("victim"), 2, "{faults:?}");
        for container_id in ["next", "victim", "neighbour"] {
            network.del(container_id);
        }
        network.audit("after the faults");
    }
}

/// While an index with a possible record can be neither read nor replaced, ADD fails and DEL works.
#[test]
fn an_index_that_can_be_neither_read_nor_replaced_fails_add_only() {
    let Some(strace) = strace() else {
        return;
    };
    let network = prepared();
    network.add("gone");
    // The dynamic loader calls read(2) too.
    let calls = network.calls(&strace, "CHECK", "neighbour");
    let first = calls.iter().find(|(call, _)| call == "pread64").unwrap();
    let reads = format!("error=EIO:when={}+", first.1);
    let faults = [
        ("pread64", reads.as_str()),
        ("renameat", "error=EIO:when=1"),
        ("unlinkat", "error=EIO:when=2"),
    ];
    let output = network.run_tampered(&strace, ("ADD", "victim"), &faults);
    assert_broken_index(&network, &output, "read");
    let output = network.run_tampered(&strace, ("DEL", "gone"), &faults);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(network.count_held("gone"), 0);
    network.del("neighbour");
    network.audit("after the faults");
}
