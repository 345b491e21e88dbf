//! Where nothing is limited, the plugin costs no more than its start.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;
use testkit::requirements::skip;

use crate::support::{Lab, MEGABIT, limits, ours};

ours!(no_socket_is_opened);

/// Which sockets a call opens, as strace tells it; `None` without strace.
#[track_caller]
fn sockets(lab: &Lab, command: &str, conf: &serde_json::Value, netns: &str) -> Option<Vec<String>> {
    let works = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output();
    if !works.is_ok_and(|output| output.status.success()) {
        skip("needs strace and the right to trace");
        return None;
    }
    lab.node.write("/run/trace", "");
    let output = lab.node.enter(|| {
        let mut strace = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=socket", "-o", "/run/trace"])
            .arg(lab.program())
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", "a")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_NETNS", netns)
            .env("CNI_PATH", "/nowhere")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = strace.stdin.take().unwrap();
        stdin.write_all(conf.to_string().as_bytes()).unwrap();
        drop(stdin);
        strace.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{output:?}");
    let trace = lab.node.read("/run/trace");
    Some(trace.lines().map(str::to_owned).collect())
}

fn no_socket_is_opened(lab: &Lab) {
    let a = lab.container("a");
    let netns = a.sandbox.path();
    let netns = netns.to_str().unwrap();
    let nothing = lab.chained(&a, json!({ "runtimeConfig": {} }));
    for command in ["ADD", "CHECK"] {
        match sockets(lab, command, &nothing, netns) {
            Some(opened) => assert_eq!(opened, [""; 0], "{command}"),
            None => return,
        }
    }
    // That they would be seen.
    let limited = lab.chained(&a, limits(MEGABIT, MEGABIT));
    assert!(!sockets(lab, "ADD", &limited, netns).unwrap().is_empty());
}
