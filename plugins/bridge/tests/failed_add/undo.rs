//! A failure at each step, and that the next ADD is none the worse for it.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use testkit::Invocation;

use crate::support::conf::{dual_stack, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};
use crate::support::traffic::assert_reaches;

ours!(
    ipam_gives_nothing,
    ipam_gives_garbage,
    ipam_is_killed,
    ipam_takes_nothing_back,
    an_address_that_cannot_be,
    a_next_hop_that_cannot_be_reached,
    a_packet_filter_that_does_not_work,
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

/// The call fails, on a node that never had a bridge, and leaves nothing. The container can be
/// attached afterwards.
#[track_caller]
pub(crate) fn fails(lab: &Lab, call: &Invocation, container: &Container) {
    let before = Snapshot::take(lab, &[container]);
    let outcome = lab.node.run(call);
    outcome.failure();
    assert_eq!(outcome.stderr_text(), "", "{outcome}");
    let what = format!("the failed ADD\n{outcome}\n");
    assert_same(&before, &Snapshot::take(lab, &[container]), &what);
    // The runtime's DEL finds nothing to do.
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

fn ipam_gives_nothing(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    ipam.on("ADD").stdout(r#"{"cniVersion":"1.0.0","ips":[]}"#);
    fails(lab, &scripted(lab, &container), &container);
    let calls = ipam.calls();
    let commands: Vec<&str> = calls.iter().map(|call| &*call.command).collect();
    assert_eq!(commands, ["ADD", "DEL", "DEL"]);
}

fn ipam_gives_garbage(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    ipam.on("ADD").stdout("ok");
    fails(lab, &scripted(lab, &container), &container);
    let calls = ipam.calls();
    let commands: Vec<&str> = calls.iter().map(|call| &*call.command).collect();
    assert_eq!(commands, ["ADD", "DEL", "DEL"]);
}

fn ipam_is_killed(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    ipam.on("ADD").kill(9);
    fails(lab, &scripted(lab, &container), &container);
}

/// Everything else is undone all the same, and the error is the one that came first.
fn ipam_takes_nothing_back(lab: &Lab) {
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

fn an_address_that_cannot_be(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    // The first address is made before the second one is refused.
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.2/24" }, { "address": "ff02::7/64" }],
    });
    ipam.on("ADD").stdout(answer.to_string());
    fails(lab, &scripted(lab, &container), &container);
}

fn a_next_hop_that_cannot_be_reached(lab: &Lab) {
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

/// It is the last step.
fn a_packet_filter_that_does_not_work(lab: &Lab) {
    let container = Container::new("a");
    let programs = tempfile::tempdir().unwrap();
    for name in ["iptables", "ip6tables"] {
        symlink("/bin/false", programs.path().join(name)).unwrap();
    }
    let conf = everything(json!({ "ipMasqBackend": "iptables" }));
    let call = lab.call("ADD", &container, &conf);
    fails(lab, &call.env("PATH", programs.path()), &container);
}
