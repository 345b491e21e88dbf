//! Where nothing is limited, the plugin costs no more than its start.

use serde_json::json;
use testkit::Strace;

use crate::support::{Lab, MEGABIT, limits, ours};

ours!(no_socket_is_opened);

fn no_socket_is_opened(lab: &Lab) {
    let a = lab.container("a");
    let Some(strace) = Strace::new() else { return };
    let sockets = |command: &str, conf| {
        let call = strace.of(lab.call(command, &a, conf), &["trace=socket"]);
        assert_eq!(lab.node.run(&call).code, Some(0));
        strace.calls()
    };
    let nothing = lab.chained(&a, json!({ "runtimeConfig": {} }));
    for command in ["ADD", "CHECK"] {
        assert_eq!(sockets(command, &nothing), "", "{command}");
    }
    // That they would be seen.
    let limited = lab.chained(&a, limits(MEGABIT, MEGABIT));
    assert_ne!(sockets("ADD", &limited), "");
}
