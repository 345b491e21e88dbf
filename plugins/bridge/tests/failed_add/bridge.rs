//! A failed ADD and the bridge.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::conf::{BRIDGE, ipv4, layer2, with};
use crate::support::lab::{Container, IP_FORWARD, Lab};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};
use crate::support::traffic::assert_reaches;
use crate::undo::everything;

ours!(
    a_bridge_of_this_add_is_removed,
    an_existing_bridge_stays,
    a_bridge_that_was_down_stays_down,
    a_bridge_with_another_container_stays,
);

fn unreachable(keys: Value) -> Value {
    let routes = json!([{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }]);
    with(everything(json!({ "ipam": { "routes": routes } })), keys)
}

fn a_bridge_of_this_add_is_removed(lab: &Lab) {
    let container = Container::new("a");
    let message = lab.add_fails(&container, &unreachable(json!({})));
    assert!(message.contains("172.16.0.1"), "{message}");
    assert_eq!(lab.find_link(BRIDGE), None);
    assert_eq!(lab.links().len(), 1);
    assert_eq!(lab.setting(IP_FORWARD), 0);
    // With an existing link, ADD fails before it creates a bridge.
    container.ip("link add eth0 type bridge");
    let message = lab.add_fails(&container, &layer2(json!({})));
    assert!(message.contains("eth0"), "{message}");
    assert_eq!(lab.find_link(BRIDGE), None);
}

fn an_existing_bridge_stays(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    lab.ip("address add fd00:7::1/64 dev cni0 nodad");
    let container = Container::new("a");
    let before = Snapshot::take(lab, &[&container]);
    for keys in [
        json!({}),
        json!({ "promiscMode": true, "hairpinMode": false }),
    ] {
        let message = lab.add_fails(&container, &unreachable(keys));
        assert!(message.contains("172.16.0.1"), "{message}");
        let after = Snapshot::take(lab, &[&container]);
        assert_same(&before, &after, &format!("a failed ADD ({message})"));
    }
}

fn a_bridge_that_was_down_stays_down(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    let container = Container::new("a");
    let before = Snapshot::take(lab, &[&container]);
    let message = lab.add_fails(&container, &unreachable(json!({})));
    assert!(message.contains("172.16.0.1"), "{message}");
    let after = Snapshot::take(lab, &[&container]);
    assert_same(&before, &after, &format!("a failed ADD ({message})"));
}

/// During the call of IPAM, another container is attached to the bridge of this ADD.
fn a_bridge_with_another_container_stays(lab: &Lab) {
    let ipam = lab.install("scripted");
    ipam.on("ADD")
        .sleep(Duration::from_secs(2))
        .stdout("garbage");
    let (a, b) = (Container::new("a"), Container::new("b"));
    let slow = layer2(json!({ "ipam": { "type": "scripted" } }));
    let running = lab.node.start(&lab.call("ADD", &a, &slow));
    let until = Instant::now() + Duration::from_secs(10);
    while ipam.calls().is_empty() {
        assert!(Instant::now() < until, "IPAM is not asked");
        thread::sleep(Duration::from_millis(5));
    }
    let conf = ipv4(json!({ "isGateway": true }));
    let result = lab.add(&b, &conf);
    running.wait().failure();
    assert_eq!(a.link_names(), ["lo"]);
    let port = lab.link(result["interfaces"][1]["name"].as_str().unwrap());
    assert_eq!(port.master(), Some(BRIDGE));
    assert_reaches(&b, "10.1.1.1");
}
