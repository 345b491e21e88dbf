//! Errors, and the state after them.

#![allow(
    clippy::disallowed_methods,
    reason = "a test runs itself, and says so by a variable"
)]

use std::process::Command;

use netlink::Mac;

use crate::*;

const WITHOUT_RIGHTS: &str = "FIREWALL_WITHOUT_RIGHTS";

// The test below runs this in a process of its own; otherwise this does nothing.
#[test]
fn as_nobody() {
    if std::env::var_os(WITHOUT_RIGHTS).is_none() {
        return;
    }
    let mut nftables = Nftables::open().unwrap();
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    let tried = [
        nftables.masquerade(&cbr0, &c1, &addresses(&["10.244.1.5/24"])),
        nftables.remove(&cbr0, &c1).map(drop),
        nftables.gc(&cbr0, &valid(&[])),
    ];
    let messages: Vec<_> = tried
        .into_iter()
        .map(|tried| tried.unwrap_err().to_string())
        .collect();
    let why = "Operation not permitted: this needs CAP_NET_ADMIN";
    assert_eq!(
        messages,
        [
            format!("cannot list the rules of table ip twill_masquerade: {why}"),
            format!("cannot find an element of set owners of table ip twill_masquerade: {why}"),
            format!("cannot find the nftables ruleset's generation: {why}"),
        ]
    );
}

#[test]
fn without_rights_the_error_says_which_are_needed() {
    let Some(netns) = namespace() else { return };
    let exe = std::env::current_exe().unwrap();
    let output = netns.command(
        Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["--inh-caps", "-all", "--"])
            .arg(exe)
            .args(["--exact", "errors::as_nobody"])
            .env(WITHOUT_RIGHTS, "1"),
    );
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_name_that_is_too_long_changes_nothing() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let error = nftables
        .allow_only_mac(
            &network("cbr0"),
            &attachment("c1", "eth0"),
            "sixteen_bytes_xx",
            Mac([2; 6]),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"sixteen_bytes_xx\" is too long: an interface name has at most 15 bytes"
    );
    assert_eq!(ruleset(&netns), "");
}

// A table of somebody else has our name, and other sets.
#[test]
fn a_foreign_table_with_our_name_is_reported_and_not_changed() {
    let Some(netns) = namespace() else { return };
    nft(
        &netns,
        "table ip twill_masquerade { map owners { type ipv4_addr : ipv4_addr; }; }",
    );
    let before = ruleset(&netns);
    let mut nftables = nftables(&netns);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    let error = nftables
        .masquerade(&cbr0, &c1, &addresses(&["10.244.1.5/24"]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot add an element to set owners of table ip twill_masquerade: Invalid argument"
    );
    nftables.remove(&cbr0, &c1).unwrap();
    assert_eq!(ruleset(&netns), before);
}
