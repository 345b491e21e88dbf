//! Modes, and the containers that reach each other in each.

use serde_json::json;
use testkit::conf::GATEWAY;
use testkit::wire::{Container, Lab};

use crate::side::{Side, both};

both!(
    each_mode,
    private_containers_do_not_reach_each_other,
    passthru_allows_one_container,
    a_master_that_is_a_bridge_port_is_refused,
);

fn each_mode(lab: &Lab) {
    for mode in ["", "bridge", "private", "vepa", "passthru"] {
        let container = Container::new("a");
        let conf = lab.ipv4(json!({ "mode": mode }));
        let result = lab.add(&container, &conf);
        let expected = if mode.is_empty() { "bridge" } else { mode };
        let eth0 = container.link("eth0");
        assert_eq!(eth0.mode(), Some(expected));
        assert_eq!(eth0.mac() == lab.link("wire0").mac(), mode == "passthru");
        assert_eq!(result["interfaces"][0]["mac"], eth0.mac());
        lab.check(&container, &conf, &result).silent();
        container.assert_reaches(GATEWAY);
        lab.del(&container, &conf);
        assert_eq!(container.link_names(), ["lo"]);
    }
}

fn private_containers_do_not_reach_each_other(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    for container in [&a, &b] {
        lab.add(container, &lab.ipv4(json!({ "mode": "private" })));
        container.assert_reaches(GATEWAY);
    }
    assert!(!a.pings("10.1.1.3"));
}

/// The first container keeps its traffic.
fn passthru_allows_one_container(lab: &Lab) {
    for (first, second) in [("bridge", "passthru"), ("passthru", "bridge")] {
        let (a, b) = (Container::new("a"), Container::new("b"));
        let conf = lab.ipv4(json!({ "mode": first }));
        lab.add(&a, &conf);
        let outcome = lab
            .node
            .run(&lab.call("ADD", &b, &lab.ipv4(json!({ "mode": second }))));
        let failure = outcome.failure();
        if lab.side == Side::Ours {
            assert_eq!(failure.code, 7, "{outcome}");
            for text in ["master wire0", "mode", second, "passthru"] {
                assert!(failure.msg.contains(text), "{outcome}");
            }
        }
        assert_eq!(b.link_names(), ["lo"]);
        a.assert_reaches(GATEWAY);
        lab.del(&a, &conf);
        assert_eq!(lab.taken(), [""; 0]);
    }
}

/// The wire is a port of a bridge.
fn a_master_that_is_a_bridge_port_is_refused(lab: &Lab) {
    lab.ip("link add br0 type bridge");
    lab.ip("link set wire0 master br0");
    for (master, kind) in [("wire0", "bridge"), ("lo", "Ethernet")] {
        let container = Container::new("a");
        let call = lab.call("ADD", &container, &lab.layer2(json!({ "master": master })));
        let outcome = lab.node.run(&call);
        let failure = outcome.failure();
        assert_eq!(container.link_names(), ["lo"]);
        if lab.side == Side::Ours {
            assert_eq!(failure.code, 7, "{outcome}");
            for text in ["master", master, kind] {
                assert!(failure.msg.contains(text), "{outcome}");
            }
        }
    }
}
