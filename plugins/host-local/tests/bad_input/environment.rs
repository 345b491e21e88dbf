//! Invalid environment variables.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;
use testkit::{Invocation, binaries};

use crate::network::Network;

const ALLOWED: &str =
    r#"has invalid characters: allowed are letters and digits, then also "_", "." and "-""#;

#[test]
fn one_error_names_all_missing_variables() {
    let network = Network::new();
    for (command, missing) in [
        ("ADD", "CNI_CONTAINERID,CNI_IFNAME,CNI_NETNS,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_IFNAME,CNI_NETNS,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("STATUS", "CNI_PATH"),
        ("GC", "CNI_PATH"),
    ] {
        let call =
            Invocation::new(binaries::plugin("host-local"), command).config(&network.subnet());
        network.refuses(
            &call,
            4,
            &format!("required env variables [{missing}] missing"),
        );
    }
}

#[test]
fn one_error_names_missing_and_invalid_variables() {
    let network = Network::new();
    let add = network.call("ADD", &network.subnet());
    network.refuses(
        &add.clone().container("../../etc").ifname("a/b").without("CNI_NETNS").path(""),
        4,
        &format!(
            "required env variables [CNI_NETNS,CNI_PATH] missing; CNI_CONTAINERID \"../../etc\" {ALLOWED}; \
             CNI_IFNAME \"a/b\" is no interface name: it must not be \".\" or \"..\" nor contain \
                 \"/\", \":\" or white space"
        ),
    );
    for id in ["..", ".", "/", "a/b", "../a", "-a"] {
        network.refuses(
            &add.clone().container(id),
            4,
            &format!("CNI_CONTAINERID {id:?} {ALLOWED}"),
        );
    }
    network.refuses(
        &add.clone().ifname("sixteen_bytes_xx"),
        4,
        "CNI_IFNAME \"sixteen_bytes_xx\" is too long: an interface name has at most 15 bytes",
    );
    network.refuses(
        &add.clone().container(OsStr::from_bytes(b"c\xff")),
        4,
        &format!("CNI_CONTAINERID \"c\u{fffd}\" {ALLOWED}"),
    );
    network.refuses(
        &add.container("x/".repeat(60_000)),
        4,
        &format!("CNI_CONTAINERID \"{}\"… {ALLOWED}", "x/".repeat(40)),
    );
}

#[test]
fn unknown_commands_are_refused() {
    let network = Network::new();
    for command in ["add", "ADD ", "REMOVE"] {
        let message = format!(
            "unknown CNI_COMMAND: {command:?} is none of ADD, DEL, CHECK, GC, STATUS, VERSION"
        );
        // Without a command the configuration is not read, so the version is the newest.
        network.refuses_with(
            &network.call(command, &network.subnet()),
            &json!({ "cniVersion": "1.1.0", "code": 4, "msg": message }),
        );
    }
}

#[test]
fn invalid_cni_args_are_refused() {
    let network = Network::new();
    let add = network.call("ADD", &network.subnet());
    for (args, message) in [
        ("IP", "CNI_ARGS: \"IP\" is no pair of the form KEY=VALUE"),
        ("A=1;", "CNI_ARGS: \"\" is no pair of the form KEY=VALUE"),
        (
            "A=1=2",
            "CNI_ARGS: \"A=1=2\" is no pair of the form KEY=VALUE",
        ),
        (
            "A=1;IP=10.1.1.9;B=2",
            "CNI_ARGS: unknown names \"A\", \"B\"; IgnoreUnknown=1 allows them",
        ),
        (
            "IgnoreUnknown=2",
            "CNI_ARGS: IgnoreUnknown=\"2\" must be 1, true, 0 or false",
        ),
    ] {
        network.refuses(&add.clone().args(args), 4, message);
    }
    network.refuses(
        &add.args(OsStr::from_bytes(b"\xff=1")),
        4,
        "CNI_ARGS: unknown names \"\u{fffd}\"; IgnoreUnknown=1 allows them",
    );
}

/// With replacement characters, the address file would name another interface.
#[test]
fn an_interface_name_that_is_not_utf8() {
    let network = Network::new();
    for command in ["ADD", "DEL", "CHECK"] {
        network.refuses(
            &network
                .call(command, &network.subnet())
                .ifname(OsStr::from_bytes(b"eth\xff")),
            4,
            "CNI_IFNAME \"eth\u{fffd}\" is not UTF-8",
        );
    }
}
