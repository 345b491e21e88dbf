//! Conditions hold for the mappings of their own network.

use serde_json::json;
use testkit::Side;

use crate::support::{Lan, NODE, Place, Protocol};

#[test]
fn two_networks_have_conditions_of_their_own() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 80);
    lan.serve(Place::Pod(1), "::", 80);
    lan.outside.ip("addr add 192.0.2.66/24 dev eth0");
    // Two containers with one port, in two networks, each for other clients.
    let mapping = json!([{"hostPort": 8080, "containerPort": 80}]);
    lan.map_with(
        0,
        &mapping,
        &json!({
            "name": "inner",
            "conditionsV4": ["ip", "saddr", "{", "10.244.1.0/24", ",", "192.0.2.66", "}"],
            "conditionsV6": ["ip6 saddr != 2001:db8::/64"],
        }),
    );
    lan.map_with(
        1,
        &mapping,
        &json!({
            "name": "outer",
            "conditionsV4": ["iifname != \"cni0\"", "ip saddr != 192.0.2.66"],
            "conditionsV6": ["iifname", "wan"],
        }),
    );
    for family in [0, 1] {
        let node = NODE[family];
        let answer = lan.ask(Place::Pod(1), Protocol::Tcp, node, 8080);
        assert!(answer.starts_with("c1 sees"), "{answer}");
        let answer = lan.ask(Place::Outside, Protocol::Tcp, node, 8080);
        assert!(answer.starts_with("c2 sees"), "{answer}");
    }
    // Each for its own network: the other container's port of the same number is not affected.
    lan.unmap_in(1, "outer");
    assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, NODE[0], 8080));
    let answer = lan.ask(Place::Pod(1), Protocol::Tcp, NODE[0], 8080);
    assert!(answer.starts_with("c1 sees"), "{answer}");
    // A mapping without conditions takes what is left.
    lan.map_with(1, &mapping, &json!({"name": "plain"}));
    let answer = lan.ask(Place::Outside, Protocol::Tcp, NODE[0], 8080);
    assert!(answer.starts_with("c2 sees"), "{answer}");
    let answer = lan.ask(Place::Pod(1), Protocol::Tcp, NODE[0], 8080);
    assert!(answer.starts_with("c1 sees"), "{answer}");
}
