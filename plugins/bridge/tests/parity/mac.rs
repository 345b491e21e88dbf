//! Requested MACs.

use serde_json::{Value, json};

use crate::support::conf::{layer2, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::both;

both!(
    a_mac_can_be_requested_in_each_place,
    requests_have_a_precedence,
    without_a_request_the_kernel_chooses
);

const ARGS: &str = "02:00:00:00:00:01";
const CNI: &str = "02:00:00:00:00:02";
const RUNTIME: &str = "02:00:00:00:00:03";

fn in_args(conf: Value) -> Value {
    with(conf, json!({ "args": { "cni": { "mac": CNI } } }))
}

fn by_runtime(conf: Value) -> Value {
    with(conf, json!({ "runtimeConfig": { "mac": RUNTIME } }))
}

/// The container's end gets the MAC, and the result has it.
#[track_caller]
fn assert_gets(lab: &Lab, id: &str, conf: &Value, cni_args: &str, mac: &str) {
    let container = Container::new(id);
    let call = lab.call("ADD", &container, conf).args(cni_args);
    let result = lab.node.run(&call).success();
    assert_eq!(result["interfaces"][2]["mac"], mac, "{result}");
    assert_eq!(container.link("eth0").mac(), mac);
    let port = lab.link(result["interfaces"][1]["name"].as_str().unwrap());
    assert_ne!(port.mac(), mac);
    lab.node.run(&call.command("DEL")).silent();
}

fn a_mac_can_be_requested_in_each_place(lab: &Lab) {
    let plain = || layer2(json!({}));
    assert_gets(lab, "a", &plain(), &format!("MAC={ARGS}"), ARGS);
    let more = format!("IgnoreUnknown=1;K8S_POD_NAME=p;MAC={ARGS};IP=10.1.1.9");
    assert_gets(lab, "b", &plain(), &more, ARGS);
    assert_gets(lab, "c", &in_args(plain()), "", CNI);
    assert_gets(lab, "d", &by_runtime(plain()), "", RUNTIME);
    let upper = with(
        plain(),
        json!({ "runtimeConfig": { "Mac": "02-00-00-AB-CD-EF" } }),
    );
    assert_gets(lab, "e", &upper, "", "02:00:00:ab:cd:ef");
}

fn requests_have_a_precedence(lab: &Lab) {
    let args = format!("MAC={ARGS}");
    let plain = || layer2(json!({}));
    assert_gets(lab, "a", &in_args(plain()), &args, CNI);
    assert_gets(lab, "b", &by_runtime(plain()), &args, RUNTIME);
    assert_gets(lab, "c", &by_runtime(in_args(plain())), "", RUNTIME);
    assert_gets(lab, "d", &by_runtime(in_args(plain())), &args, RUNTIME);
    // An empty text is not a request.
    let empty = with(in_args(plain()), json!({ "runtimeConfig": { "mac": "" } }));
    assert_gets(lab, "e", &empty, &args, CNI);
    let empty = with(plain(), json!({ "args": { "cni": { "mac": "" } } }));
    assert_gets(lab, "f", &empty, &args, ARGS);
}

fn without_a_request_the_kernel_chooses(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    for container in [&a, &b] {
        lab.add(container, &layer2(json!({})));
    }
    let [a, b] = [&a, &b].map(|container| container.link("eth0"));
    assert_ne!(a.mac(), b.mac());
    // Locally administered, and not a group address.
    for link in [a, b] {
        let first = u8::from_str_radix(&link.mac()[..2], 16).unwrap();
        assert_eq!(first & 3, 2, "{}", link.mac());
    }
}
