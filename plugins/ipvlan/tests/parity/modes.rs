//! Modes, with real traffic between containers.

use serde_json::json;
use testkit::conf::GATEWAY;
use testkit::wire::{Container, Lab};

use crate::side::{Side, both};

both!(each_mode, a_master_that_is_a_bridge_port_is_refused);

fn each_mode(lab: &Lab) {
    for mode in ["", "l2", "l3", "l3s"] {
        let (a, b) = (Container::new("a"), Container::new("b"));
        let conf =
            lab.dual_stack(json!({ "mode": mode, "ipam": { "routes": [{ "dst": "0.0.0.0/0" }] } }));
        let expected = if mode.is_empty() { "l2" } else { mode };
        let mut results = Vec::new();
        for container in [&a, &b] {
            let result = lab.add(container, &conf);
            let eth0 = container.link("eth0");
            assert_eq!(eth0.mode(), Some(expected));
            assert_eq!(eth0.mac(), lab.link("wire0").mac());
            assert_eq!(result["interfaces"][0]["mac"], eth0.mac());
            results.push((container, result));
        }
        for (container, result) in &results {
            lab.check(container, &conf, result).silent();
        }
        let [from_b, from_b6] = [0, 1].map(|position| address(&results[0].1, position));
        let [from_a, from_a6] = [0, 1].map(|position| address(&results[1].1, position));
        a.assert_reaches(&from_a);
        b.assert_reaches(&from_b);
        a.assert_reaches(&from_a6);
        b.assert_reaches(&from_b6);
        // Only packets of mode l2 reach the outside machine: the node routes those of l3, and the
        // machine has no route back.
        if expected == "l2" {
            a.assert_reaches(GATEWAY);
        }
        for container in [&a, &b] {
            lab.del(container, &conf);
            assert_eq!(container.link_names(), ["lo"]);
        }
        assert_eq!(lab.taken(), [""; 0]);
    }
}

fn address(result: &serde_json::Value, position: usize) -> String {
    let text = result["ips"][position]["address"].as_str().unwrap();
    text.split('/').next().unwrap().to_owned()
}

/// The wire is a port of a bridge.
fn a_master_that_is_a_bridge_port_is_refused(lab: &Lab) {
    lab.ip("link add br0 type bridge");
    lab.ip("link set wire0 master br0");
    for (master, kind) in [("wire0", "bridge"), ("lo", "Ethernet")] {
        let container = Container::new("a");
        let conf = lab.ipv4(json!({ "master": master }));
        let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
        let failure = outcome.failure();
        assert_eq!(container.link_names(), ["lo"]);
        if lab.side == Side::Ours {
            assert_eq!(failure.code, 7, "{outcome}");
            for text in ["master", master, kind] {
                assert!(failure.msg.contains(text), "{outcome}");
            }
            assert_eq!(lab.taken(), [""; 0]);
        }
    }
}
