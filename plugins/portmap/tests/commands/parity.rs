//! Behaviour that both sides share.

use serde_json::{Value, json};
use testkit::both;

use crate::support::{Lan, NODE, OUTSIDE, Place, Protocol};

both! {
    Lan::new;
    a_port_leads_to_the_container_until_its_del,
    a_host_ip_is_the_only_address,
    the_node_reaches_a_container_by_its_own_addresses,
    what_has_no_ports_is_passed_on,
    bad_ports_are_refused,
    without_prev_result_an_add_fails,
}

fn mappings() -> Value {
    json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8080, "containerPort": 80, "protocol": "udp"},
    ])
}

fn a_port_leads_to_the_container_until_its_del(lan: &Lan) {
    lan.serve(Place::Pod(0), "::", 80);
    lan.map(0, &mappings());
    // Of two families, the Go plugin looks for the rules of the first in the second.
    let checked = lan.checked(0, &mappings());
    assert_eq!(checked.code, Some(lan.side.pick(0, 1)), "{checked}");
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for family in [0, 1] {
            let answer = lan.ask(Place::Outside, protocol, NODE[family], 8080);
            assert_eq!(answer, format!("c1 sees {}", OUTSIDE[family]));
        }
    }
    for _ in 0..2 {
        lan.del(&lan.pods[0], &lan.conf(0, &mappings(), &json!({})));
        assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, NODE[0], 8080));
    }
    assert_ne!(lan.checked(0, &mappings()).code, Some(0));
}

fn a_host_ip_is_the_only_address(lan: &Lan) {
    lan.serve(Place::Pod(0), "::", 80);
    let mappings = json!([
        {"hostPort": 8081, "containerPort": 80, "protocol": "tcp", "hostIP": NODE[0]},
    ]);
    lan.map(0, &mappings);
    let answer = lan.ask(Place::Outside, Protocol::Tcp, NODE[0], 8081);
    assert_eq!(answer, format!("c1 sees {}", OUTSIDE[0]));
    assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, NODE[1], 8081));
    assert!(!lan.is_answered(Place::Node, Protocol::Tcp, "10.244.1.1", 8081));
}

fn the_node_reaches_a_container_by_its_own_addresses(lan: &Lan) {
    lan.serve(Place::Pod(0), "::", 80);
    lan.map(0, &mappings());
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let answer = lan.ask(Place::Node, protocol, NODE[0], 8080);
        assert_eq!(answer, format!("c1 sees {}", NODE[0]));
        let answer = lan.ask(Place::Node, protocol, "127.0.0.1", 8080);
        assert_eq!(answer, "c1 sees 10.244.1.1");
    }
}

fn what_has_no_ports_is_passed_on(lan: &Lan) {
    let conf = lan.conf(0, &json!([]), &json!({}));
    let result = lan.add(&lan.pods[0], &conf);
    assert_eq!(result["ips"].as_array().unwrap().len(), 2);
    lan.del(&lan.pods[0], &conf);
    assert!(!lan.ruleset().contains("8080"));
}

fn bad_ports_are_refused(lan: &Lan) {
    for (host, container) in [(0, 80), (80, 0), (-1, 80)] {
        let mappings = json!([{"hostPort": host, "containerPort": container, "protocol": "tcp"}]);
        lan.add_fails(&lan.pods[0], &lan.conf(0, &mappings, &json!({})));
    }
}

fn without_prev_result_an_add_fails(lan: &Lan) {
    let conf = lan.conf(0, &mappings(), &json!({"prevResult": null}));
    lan.add_fails(&lan.pods[0], &conf);
}
