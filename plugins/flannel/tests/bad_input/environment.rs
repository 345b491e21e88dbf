//! Invalid environment variables.

use testkit::{Invocation, binaries};

use crate::desk::Desk;
use crate::{COMMANDS, assert_refused};

#[test]
fn one_error_names_all_missing_variables() {
    let desk = Desk::new();
    for (command, missing) in [
        ("ADD", "CNI_CONTAINERID,CNI_IFNAME,CNI_NETNS,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_IFNAME,CNI_NETNS,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("GC", "CNI_PATH"),
        ("STATUS", "CNI_PATH"),
    ] {
        let call = Invocation::new(binaries::plugin("flannel"), command).config(&desk.netconf());
        let message = format!("required env variables [{missing}] missing");
        assert_refused(&desk, &call, 4, &message);
        // An empty variable counts as missing.
        let call = call.container("").ifname("").netns("").path("");
        assert_refused(&desk, &call, 4, &message);
    }
}

#[test]
fn a_container_id_that_is_no_file_name_is_refused() {
    let desk = Desk::new();
    for id in [
        "..",
        "../c1",
        "/etc/passwd",
        "a/b",
        ".hidden",
        "c 1",
        "c\n1",
        "c1:eth0",
        "ä",
    ] {
        let message = format!(
            "CNI_CONTAINERID {id:?} has invalid characters: \
             allowed are letters and digits, then also \"_\", \".\" and \"-\""
        );
        for command in COMMANDS {
            assert_refused(&desk, &desk.call(command).container(id), 4, &message);
        }
    }
}

#[test]
fn an_interface_name_that_the_kernel_refuses_is_refused() {
    let desk = Desk::new();
    for name in [".", "..", "../eth0", "a/b", "eth:0", "eth 0", "eth0\n"] {
        let message = format!(
            "CNI_IFNAME {name:?} is no interface name: \
             it must not be \".\" or \"..\" nor contain \"/\", \":\" or white space"
        );
        for command in COMMANDS {
            assert_refused(&desk, &desk.call(command).ifname(name), 4, &message);
        }
    }
    let call = desk.call("ADD").ifname("sixteen-bytes-xx");
    let message =
        "CNI_IFNAME \"sixteen-bytes-xx\" is too long: an interface name has at most 15 bytes";
    assert_refused(&desk, &call, 4, message);
}

#[test]
fn one_error_names_missing_and_invalid_variables() {
    let desk = Desk::new();
    let call = desk
        .call("ADD")
        .container("a/b")
        .ifname("..")
        .without("CNI_NETNS");
    let message = "required env variables [CNI_NETNS] missing; \
        CNI_CONTAINERID \"a/b\" has invalid characters: \
        allowed are letters and digits, then also \"_\", \".\" and \"-\"; \
        CNI_IFNAME \"..\" is no interface name: \
        it must not be \".\" or \"..\" nor contain \"/\", \":\" or white space";
    assert_refused(&desk, &call, 4, message);
}

#[test]
fn an_unknown_command_is_refused() {
    let desk = Desk::new();
    for command in ["add", "ADD ", "UPDATE"] {
        let message = format!(
            "unknown CNI_COMMAND: {command:?} is none of ADD, DEL, CHECK, GC, STATUS, VERSION"
        );
        assert_refused(&desk, &desk.call(command), 4, &message);
    }
}
