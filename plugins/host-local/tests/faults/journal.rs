//! An ADD notes in the index's header what it is about to take, and whoever finds such a note
//! undoes it: so it must be gone when the ADD succeeds, whatever else fails.

use std::process::Output;

use crate::network::{Network, strace};

/// The writes to the index at the end of an ADD: its fifth to this file or that of the address
/// given last, and all after it.
const WRITES_AT_THE_END: (&str, &str) = ("pwrite64", "error=EIO:when=5+");

fn prepared() -> Network {
    let network = Network::new("disk");
    network.add("neighbour");
    network
}

/// An ADD with these faults that succeeds, and stays so when others come.
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

/// The answer says what could not be done with the index, and the kernel's reason, in the C
/// library's words.
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
fn the_index_cannot_be_written() {
    stays(&[WRITES_AT_THE_END]);
}

#[test]
fn the_index_can_only_be_removed() {
    stays(&[WRITES_AT_THE_END, ("ftruncate", "error=EIO")]);
}

#[test]
fn the_directories_time_cannot_be_set() {
    // The two addresses' own times can.
    stays(&[("utimensat", "error=EPERM:when=3+")]);
}

#[test]
fn no_time_can_be_set() {
    stays(&[("utimensat", "error=EPERM")]);
}

#[test]
fn the_file_system_has_no_hard_links() {
    for errno in ["EPERM", "EOPNOTSUPP"] {
        stays(&[("linkat", &format!("error={errno}"))]);
    }
}

#[test]
fn an_add_fails_whose_note_cannot_be_cleared() {
    let Some(strace) = strace() else {
        return;
    };
    let network = prepared();
    // The first two are of `.new`.
    let tamperings = [
        WRITES_AT_THE_END,
        ("ftruncate", "error=EIO"),
        ("unlinkat", "error=EIO:when=3"),
    ];
    let output = network.run_tampered(&strace, ("ADD", "victim"), &tamperings);
    assert_broken_index(&network, &output, "remove");
    assert_eq!(network.count_held("victim"), 0);
    // Nor does the note count against whoever comes next.
    network.add("victim");
    network.add("next");
    assert_eq!(network.count_held("victim"), 2);
    for container_id in ["next", "victim", "neighbour"] {
        network.del(container_id);
    }
    network.audit("after the faults");
}

/// A killed ADD's note is undone, and must not be found once more when the same attachment has the
/// same addresses again.
#[test]
fn the_note_of_a_killed_add_counts_once() {
    let Some(strace) = strace() else {
        return;
    };
    for faults in [
        // No index can be made: nothing is given its name, and in the second case it cannot be
        // removed either.
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

/// Where nobody knows whether an earlier ADD's note stands, nothing is given; DEL works all the
/// same.
#[test]
fn an_index_that_can_be_neither_read_nor_replaced() {
    let Some(strace) = strace() else {
        return;
    };
    let network = prepared();
    network.add("gone");
    // The loader of programs reads too.
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
