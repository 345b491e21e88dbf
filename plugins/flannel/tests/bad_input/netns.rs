//! The node's own network namespace in the place of a container's.

use crate::desk::Desk;
use crate::{COMMANDS, assert_refused};

#[test]
fn the_nodes_own_is_refused() {
    let desk = Desk::new();
    // So that CHECK and DEL would find something to do.
    desk.call("ADD").run().success();
    let of_a_process = format!("/proc/{}/ns/net", std::process::id());
    for netns in [&*of_a_process, "/proc/self/ns/net"] {
        let message = format!("CNI_NETNS {netns} is the plugin's own network namespace");
        for command in COMMANDS {
            let call = desk.call(command).netns(netns);
            assert_refused(&desk, &call, 8, &message);
            assert_eq!(
                call.run().failure().details,
                "set CNI_NETNS_OVERRIDE=1 to allow it"
            );
            let call = call.env("CNI_NETNS_OVERRIDE", "0");
            assert_refused(&desk, &call, 8, &message);
        }
    }
}

#[test]
fn unless_it_is_asked_for() {
    for value in ["1", "true", "TRUE"] {
        let desk = Desk::new();
        for command in COMMANDS {
            let call = desk.call(command).netns("/proc/self/ns/net");
            let outcome = call.env("CNI_NETNS_OVERRIDE", value).run();
            assert_eq!(outcome.code, Some(0), "{outcome}");
        }
        assert_eq!(desk.delegate.calls().len(), 3);
        assert_eq!(desk.kept(), [].into());
    }
}
