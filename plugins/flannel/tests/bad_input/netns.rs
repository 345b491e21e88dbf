//! `CNI_NETNS` does not lead to a container's network namespace.

use std::fs;
use std::path::Path;

use crate::desk::Desk;
use crate::{COMMANDS, assert_refused};

fn of_this_process() -> String {
    format!("/proc/{}/ns/net", std::process::id())
}

#[test]
fn add_and_check_refuse_the_nodes_namespace() {
    let desk = Desk::new();
    // Without the refusal, CHECK would call the delegate.
    desk.call("ADD").run().success();
    for netns in [&*of_this_process(), "/proc/self/ns/net"] {
        let message = format!("CNI_NETNS {netns} is the plugin's own network namespace");
        for command in ["ADD", "CHECK"] {
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

/// By the time of DEL, the path may lead to the node's namespace, as `/proc/<pid>/ns/net` does once
/// the pid belongs to another process. The delegate must not mistake the node for the container.
#[test]
fn del_calls_the_delegate_without_the_nodes_namespace() {
    let desk = Desk::new();
    let file = desk.path("mounted-on-before-a-reboot");
    fs::write(&file, "").unwrap();
    for (netns, of_delegate) in [
        (Path::new(&of_this_process()), ""),
        (Path::new("/proc/self/ns/net"), ""),
        (&file, ""),
        // A Go delegate fails with this path, and counts the next one as a missing namespace.
        (&file.join("below"), ""),
        (Path::new("/run/netns/gone"), "/run/netns/gone"),
    ] {
        desk.call("ADD").run().success();
        assert_eq!(desk.kept().len(), 1);
        desk.call("DEL").netns(netns).run().silent();
        assert_eq!(desk.kept(), [].into());
        let call = desk.delegate.calls().pop().unwrap();
        assert_eq!(call.command, "DEL");
        assert_eq!(call.env["CNI_NETNS"], of_delegate);
    }
}

#[test]
fn cni_netns_override_allows_the_nodes_namespace() {
    for value in ["1", "true", "TRUE"] {
        let desk = Desk::new();
        for command in COMMANDS {
            let call = desk.call(command).netns("/proc/self/ns/net");
            let outcome = call.env("CNI_NETNS_OVERRIDE", value).run();
            assert_eq!(outcome.code, Some(0), "{outcome}");
        }
        let calls = desk.delegate.calls();
        assert_eq!(calls.len(), 3);
        for call in calls {
            assert_eq!(call.env["CNI_NETNS"], "/proc/self/ns/net");
        }
        assert_eq!(desk.kept(), [].into());
    }
}
