//! An operator's bridge: its MAC, its MTU and its number of ports.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::conf::{BRIDGE, ipv4, layer2, with};
use crate::support::lab::{Container, Lab};
use crate::support::outside;
use crate::support::side::ours;
use crate::support::traffic::{assert_answered, assert_reaches};

ours!(
    an_unfixed_bridge_takes_its_uplinks_mac,
    a_gateway_keeps_its_mac,
    a_bridge_without_mac_becomes_a_gateway,
    a_container_without_mtu_gets_the_jumbo_bridges,
    a_smaller_mtu_lowers_the_bridges_while_the_container_exists,
    a_full_bridge_is_reported,
    a_long_alternative_name,
    a_missing_bridge_with_a_long_name_is_an_error,
    status_without_rights_names_no_index,
    more_routes_than_one_message_carries_are_added,
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

/// The kernel does so unless a MAC was set. The result has the MAC at the end of the ADD.
fn an_unfixed_bridge_takes_its_uplinks_mac(lab: &Lab) {
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

/// Hosts remember the gateway's MAC.
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

/// With the last port, a bridge loses its MAC, and the kernel accepts no empty one.
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

/// A smaller MTU of the container would lower the bridge's for all containers.
fn a_container_without_mtu_gets_the_jumbo_bridges(lab: &Lab) {
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

fn a_full_bridge_is_reported(lab: &Lab) {
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

const ALTNAME: &str = "a-bridge-by-a-name-of-more-than-15-bytes";

fn a_long_alternative_name(lab: &Lab) {
    lab.ip("link add br7 up type bridge");
    lab.ip(&format!("link property add dev br7 altname {ALTNAME}"));
    let (a, b) = (Container::new("a"), Container::new("b"));
    let conf = ipv4(json!({ "bridge": ALTNAME, "isGateway": true }));
    for container in [&a, &b] {
        let result = lab.add(container, &conf);
        assert_eq!(result["interfaces"][0]["name"], "br7");
    }
    assert_reaches(&a, "10.1.1.3");
    assert_eq!(lab.link("br7").addresses(), ["10.1.1.1/24"]);
    lab.del(&a, &conf);
    // DEL does not need the bridge.
    lab.ip("link del br7");
    lab.del(&b, &conf);
    assert_eq!(lab.taken(), [""; 0]);
    assert_eq!(lab.link_names(), ["lo"]);
}

fn status_without_rights_names_no_index(lab: &Lab) {
    let conf = ipv4(json!({ "cniVersion": "1.1.0" }));
    let status = lab.call_without_rights("STATUS", &Container::new("a"), &conf);
    let says = ["cannot change links: Operation not permitted: this needs CAP_NET_ADMIN"];
    lab.node.run(&status).refusal(50, &says);
}

fn a_missing_bridge_with_a_long_name_is_an_error(lab: &Lab) {
    let container = Container::new("a");
    let conf = ipv4(json!({ "bridge": ALTNAME }));
    let status = lab.call_alone(
        "STATUS",
        &with(conf.clone(), json!({ "cniVersion": "1.1.0" })),
    );
    let says = ["bridge", ALTNAME, "15 bytes", "alternative name"];
    lab.node.run(&status).refusal(50, &says);
    let add = lab.call("ADD", &container, &conf);
    lab.node.run(&add).refusal(7, &says);
    assert_eq!(lab.link_names(), ["lo"]);
    assert_eq!(container.link_names(), ["lo"]);
}

/// One netlink message cannot carry so many.
fn more_routes_than_one_message_carries_are_added(lab: &Lab) {
    let ipam = lab.install("scripted");
    let destination = |number: u32| format!("10.{}.{}.0/24", 100 + number / 256, number % 256);
    let routes: Vec<Value> = (0..5000)
        .map(|number| json!({ "dst": destination(number), "gw": "10.1.1.1" }))
        .collect();
    let ips = json!([{ "address": "10.1.1.7/24" }]);
    let answer = json!({ "cniVersion": "1.0.0", "ips": ips, "routes": routes });
    ipam.on("ADD").stdout(answer.to_string());
    let conf = layer2(json!({ "isGateway": true, "ipam": { "type": "scripted" } }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    assert_eq!(container.routes().len(), 5000);
    lab.check(&container, &conf, &result).silent();
    lab.del(&container, &conf);
    assert_eq!(container.link_names(), ["lo"]);
}

/// The bridge follows its smallest port, unless an operator has set its MTU. Thus the node reports
/// the MTU to senders of larger packets, which would otherwise be dropped silently. Other ports are
/// not affected.
fn a_smaller_mtu_lowers_the_bridges_while_the_container_exists(lab: &Lab) {
    let outside = outside::connect(lab);
    outside.ip("route add 10.1.1.0/24 via 198.51.100.1");
    lab.ip("link add cni0 mtu 9000 up type bridge");
    let jumbo = ipv4(json!({ "isDefaultGateway": true, "mtu": 9000 }));
    let small = with(jumbo.clone(), json!({ "mtu": 1400 }));
    let (a, b, c) = (
        Container::new("a"),
        Container::new("b"),
        Container::new("c"),
    );
    lab.add(&a, &jumbo);
    lab.add(&b, &jumbo);
    lab.add(&c, &small);
    assert_eq!(lab.link(BRIDGE).mtu(), 1400);
    assert_reaches(&a, "10.1.1.3");
    assert_answered(&a, &["-Mdo", "-s8972", "10.1.1.3"]);
    let ping = "-n -c1 -W1 -Mdo -s1472 10.1.1.4";
    let answer = outside.command(Command::new("ping").args(ping.split(' ')));
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.contains("(mtu = 1400)"), "{answer}");
    lab.del(&c, &small);
    assert_eq!(lab.link(BRIDGE).mtu(), 9000);
    for mtu in [8999, 9000] {
        lab.ip(&format!("link set cni0 mtu {mtu}"));
    }
    lab.add(&c, &small);
    assert_eq!(lab.link(BRIDGE).mtu(), 9000);
}
