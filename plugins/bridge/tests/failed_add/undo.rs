//! A failure at each step leaves nothing, and the next ADD succeeds.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use testkit::Invocation;

use crate::support::conf::{dual_stack, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};
use crate::support::traffic::assert_reaches;

ours!(
    add_is_rolled_back_if_ipam_gives_no_address,
    add_is_rolled_back_if_ipam_gives_no_result,
    add_is_rolled_back_if_ipam_is_killed,
    add_is_rolled_back_if_the_del_of_ipam_fails,
    add_is_rolled_back_if_the_kernel_refuses_an_address,
    add_is_rolled_back_if_a_next_hop_is_unreachable,
    add_is_rolled_back_if_the_packet_filter_fails,
);

pub(crate) fn everything(keys: Value) -> Value {
    let conf = dual_stack(json!({
        "isDefaultGateway": true,
        "ipMasq": true,
        "macspoofchk": true,
        "hairpinMode": true,
        "mtu": 1450,
    }));
    with(conf, keys)
}

/// The call fails on a node without a bridge, and leaves nothing. Afterwards the container can be
/// attached.
#[track_caller]
pub(crate) fn fails(lab: &Lab, call: &Invocation, container: &Container) {
    let before = Snapshot::take(lab, &[container]);
    let outcome = lab.node.run(call);
    outcome.failure();
    assert_eq!(outcome.stderr_text(), "", "{outcome}");
    let what = format!("the failed ADD\n{outcome}\n");
    assert_same(&before, &Snapshot::take(lab, &[container]), &what);
    // The runtime's DEL has nothing to do.
    lab.node.run(&call.clone().command("DEL"));
    assert_same(&before, &Snapshot::take(lab, &[container]), "DEL after it");

    let conf = everything(json!({}));
    lab.add(container, &conf);
    assert_reaches(container, "10.1.1.1");
    assert_reaches(container, "fd00:1::1");
    lab.del(container, &conf);
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
}

fn scripted(lab: &Lab, container: &Container) -> Invocation {
    let conf = everything(json!({ "ipam": Value::Null }));
    let conf = with(conf, json!({ "ipam": { "type": "scripted" } }));
    lab.call("ADD", container, &conf)
}

fn add_is_rolled_back_if_ipam_gives_no_address(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    ipam.on("ADD").stdout(r#"{"cniVersion":"1.0.0","ips":[]}"#);
    fails(lab, &scripted(lab, &container), &container);
    let calls = ipam.calls();
    let commands: Vec<&str> = calls.iter().map(|call| &*call.command).collect();
    assert_eq!(commands, ["ADD", "DEL", "DEL"]);
}

fn add_is_rolled_back_if_ipam_gives_no_result(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    ipam.on("ADD").stdout("ok");
    fails(lab, &scripted(lab, &container), &container);
    let calls = ipam.calls();
    let commands: Vec<&str> = calls.iter().map(|call| &*call.command).collect();
    assert_eq!(commands, ["ADD", "DEL", "DEL"]);
}

fn add_is_rolled_back_if_ipam_is_killed(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    ipam.on("ADD").kill(9);
    fails(lab, &scripted(lab, &container), &container);
}

/// Everything else is rolled back, and the first error is reported.
fn add_is_rolled_back_if_the_del_of_ipam_fails(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.2/24" }],
        "routes": [{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }],
    });
    ipam.on("ADD").stdout(answer.to_string());
    ipam.on("DEL")
        .stdout(r#"{"code":999,"msg":"never"}"#)
        .exit(1);
    let failure = lab.node.run(&scripted(lab, &container)).failure();
    assert!(failure.msg.contains("172.16.0.1"), "{failure:?}");
    fails(lab, &scripted(lab, &container), &container);
}

fn add_is_rolled_back_if_the_kernel_refuses_an_address(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    // The kernel accepts the first address before it refuses the second.
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.2/24" }, { "address": "ff02::7/64" }],
    });
    ipam.on("ADD").stdout(answer.to_string());
    fails(lab, &scripted(lab, &container), &container);
}

fn add_is_rolled_back_if_a_next_hop_is_unreachable(lab: &Lab) {
    let container = Container::new("a");
    for gateway in ["172.16.0.1", "fd00:77::1"] {
        let dst = if gateway.contains(':') {
            "fd00:9::/48"
        } else {
            "10.9.0.0/16"
        };
        let routes = json!([{ "dst": "10.8.0.0/16" }, { "dst": dst, "gw": gateway }]);
        let conf = everything(json!({ "ipam": { "routes": routes } }));
        fails(lab, &lab.call("ADD", &container, &conf), &container);
        lab.ip("link del cni0");
    }
}

/// Masquerading is the last step.
fn add_is_rolled_back_if_the_packet_filter_fails(lab: &Lab) {
    let container = Container::new("a");
    let programs = tempfile::tempdir().unwrap();
    for name in ["iptables", "ip6tables"] {
        symlink("/bin/false", programs.path().join(name)).unwrap();
    }
    let conf = everything(json!({ "ipMasqBackend": "iptables" }));
    let call = lab.call("ADD", &container, &conf);
    fails(lab, &call.env("PATH", programs.path()), &container);
}
