//! IPAM gives a container an address that the node has on the bridge, which would be a duplicate.

use serde_json::{Value, json};

use crate::support::conf::{BRIDGE, layer2, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};

ours!(
    the_gateways_address_is_refused,
    the_default_gateways_address_is_refused,
    any_address_of_the_bridge_is_refused,
);

#[track_caller]
fn assert_refused(lab: &Lab, ip: Value, keys: Value, words: &[&str]) {
    let ipam = lab.install("static-ipam");
    let answer = json!({ "cniVersion": "1.0.0", "ips": [ip] });
    ipam.on("ADD").stdout(answer.to_string());
    let conf = with(layer2(json!({ "ipam": { "type": "static-ipam" } })), keys);
    let container = Container::new("a");
    let before = Snapshot::take(lab, &[&container]);
    let failure = lab.node.run(&lab.call("ADD", &container, &conf)).failure();
    assert_eq!(failure.code, 7, "{failure:?}");
    for word in words {
        assert!(failure.msg.contains(word), "{failure:?}");
    }
    assert_same(&before, &Snapshot::take(lab, &[&container]), "the ADD");
    let calls = ipam.calls();
    let commands: Vec<&str> = calls.iter().map(|call| &*call.command).collect();
    assert_eq!(commands, ["ADD", "DEL"]);
}

fn the_gateways_address_is_refused(lab: &Lab) {
    let ip = json!({ "address": "10.1.1.7/24", "gateway": "10.1.1.7" });
    let words = ["10.1.1.7/24", "gateway"];
    assert_refused(lab, ip, json!({ "isGateway": true }), &words);
}

/// Without a gateway from IPAM, the gateway is the first address of the network.
fn the_default_gateways_address_is_refused(lab: &Lab) {
    for address in ["10.1.1.1/24", "fd00:1::1/64"] {
        let ip = json!({ "address": address });
        let words = [address, "gateway"];
        assert_refused(lab, ip, json!({ "isDefaultGateway": true }), &words);
    }
}

fn any_address_of_the_bridge_is_refused(lab: &Lab) {
    lab.ip("link add cni0 address 02:00:00:00:00:07 type bridge");
    lab.ip("link set cni0 up");
    lab.ip("address add 10.1.1.1/24 dev cni0");
    let ip = json!({ "address": "10.1.1.1/16" });
    assert_refused(lab, ip.clone(), json!({}), &["10.1.1.1/16", BRIDGE]);
    let ip = with(ip, json!({ "gateway": "10.1.0.1" }));
    let keys = json!({ "isGateway": true, "forceAddress": true });
    assert_refused(lab, ip, keys, &["10.1.1.1/16", BRIDGE]);
}
