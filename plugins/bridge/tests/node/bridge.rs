//! A bridge that its operator has made: its MAC, its MTU, and how many it has room for.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::conf::{BRIDGE, ipv4, layer2};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::traffic::assert_reaches;

ours!(
    it_takes_its_uplinks_mac_later,
    a_gateway_keeps_its_mac,
    a_bridge_without_mac_becomes_a_gateway,
    a_jumbo_bridge_stays_one,
    one_that_is_full,
);

const UPLINK_MAC: &str = "00:00:5e:00:53:01";

#[track_caller]
fn plug_in_uplink(lab: &Lab) {
    lab.ip(&format!(
        "link add uplink0 address {UPLINK_MAC} type veth peer name uplink1"
    ));
    lab.ip("link set uplink0 master cni0 up");
}

#[track_caller]
fn reported_mac(result: &Value) -> &str {
    assert_eq!(result["interfaces"][0]["name"], BRIDGE);
    result["interfaces"][0]["mac"].as_str().unwrap()
}

/// As the kernel has it, unless the bridge was given one. The result reports the one that it has then.
fn it_takes_its_uplinks_mac_later(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    let (a, b) = (Container::new("a"), Container::new("b"));
    let conf = ipv4(json!({}));
    let mut results = Vec::new();
    for container in [&a, &b] {
        let result = lab.add(container, &conf);
        assert_eq!(reported_mac(&result), lab.link(BRIDGE).mac());
        results.push(result);
    }
    plug_in_uplink(lab);
    assert_eq!(lab.link(BRIDGE).mac(), UPLINK_MAC);
    for (container, result) in [&a, &b].into_iter().zip(&results) {
        lab.check(container, &conf, result).silent();
    }
    let c = Container::new("c");
    assert_eq!(reported_mac(&lab.add(&c, &conf)), UPLINK_MAC);
    for container in [&a, &b, &c] {
        lab.del(container, &conf);
    }
    assert_eq!(lab.link(BRIDGE).mac(), UPLINK_MAC);
}

/// Hosts that were told of it remember it.
fn a_gateway_keeps_its_mac(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    let a = Container::new("a");
    let result = lab.add(&a, &ipv4(json!({ "isGateway": true })));
    let mac = lab.link(BRIDGE).mac().to_owned();
    assert_eq!(reported_mac(&result), mac);
    plug_in_uplink(lab);
    assert_eq!(lab.link(BRIDGE).mac(), mac);
    assert_reaches(&a, "10.1.1.1");
}

/// The kernel takes a bridge's MAC away with the last port, and lets nobody set it to none.
fn a_bridge_without_mac_becomes_a_gateway(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    let (a, conf) = (Container::new("a"), layer2(json!({})));
    lab.add(&a, &conf);
    lab.del(&a, &conf);
    assert_eq!(lab.link(BRIDGE).mac(), "00:00:00:00:00:00");
    let result = lab.add(&a, &ipv4(json!({ "isGateway": true })));
    assert_eq!(reported_mac(&result), lab.link(BRIDGE).mac());
    assert_reaches(&a, "10.1.1.1");
}

/// Without `mtu` the container has the bridge's: with a smaller one it would make everybody's smaller.
fn a_jumbo_bridge_stays_one(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link add uplink0 mtu 9000 type veth peer name uplink1 mtu 9000");
    lab.ip("link set uplink0 master cni0 up");
    lab.ip("link set cni0 up");
    assert_eq!(lab.link(BRIDGE).mtu(), 9000);
    for keys in [json!({}), json!({ "mtu": 0 })] {
        let container = Container::new("a");
        let result = lab.add(&container, &layer2(keys));
        assert_eq!(lab.link(BRIDGE).mtu(), 9000);
        assert_eq!(container.link("eth0").mtu(), 9000);
        let port = result["interfaces"][1]["name"].as_str().unwrap();
        assert_eq!(lab.link(port).mtu(), 9000);
    }
}

fn one_that_is_full(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    let links: String = (0..1023)
        .map(|number| format!("link add p{number} master cni0 type veth peer name q{number}\n"))
        .collect();
    let run = || {
        let mut batch = Command::new("ip");
        let mut batch = batch.args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
        batch.stdin.take().unwrap().write_all(links.as_bytes())?;
        batch.wait()
    };
    assert!(lab.node.enter(run).unwrap().success());
    let container = Container::new("a");
    let outcome = lab.node.run(&lab.call("ADD", &container, &ipv4(json!({}))));
    let failure = outcome.failure();
    assert_eq!(failure.code, 11, "{failure:?}");
    for word in [BRIDGE, "1023 ports"] {
        assert!(failure.msg.contains(word), "{failure:?}");
    }
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
    lab.ip("link del p7");
    lab.add(&container, &ipv4(json!({})));
}
