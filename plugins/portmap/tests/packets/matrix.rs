//! Client × family × protocol × `snat` × `hostIP` × bridge-nf.

use serde_json::{Value, json};
use testkit::Side;
use testkit::requirements::skip_for_kernel;

use crate::support::{GATEWAY, Lan, NODE, OUTSIDE, PODS, Place, Protocol};

/// The host ports by their `hostIP`: all addresses, the node's outer ones, and the loopback one.
const ANY: u16 = 8080;
const OUTER: u16 = 8081;
const LOOPBACK: u16 = 8082;

fn mappings() -> Value {
    let mut all = Vec::new();
    for protocol in ["tcp", "UDP"] {
        for (host_port, host_ip) in [
            (ANY, ""),
            (OUTER, NODE[0]),
            (OUTER, NODE[1]),
            (LOOPBACK, "127.0.0.1"),
        ] {
            all.push(json!({
                "hostPort": host_port, "containerPort": 80, "protocol": protocol, "hostIP": host_ip,
            }));
        }
    }
    Value::Array(all)
}

/// Asserts what a client gets from a port: the source that the container sees, or no answer.
#[track_caller]
fn assert_seen(lan: &Lan, client: Place, to: &str, port: u16, seen: Option<&str>) {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        match seen {
            Some(seen) => assert_eq!(
                lan.ask(client, protocol, to, port),
                format!("c1 sees {seen}"),
                "{client:?} by {protocol:?} at {to}:{port}"
            ),
            None => assert!(
                !lan.is_answered(client, protocol, to, port),
                "{client:?} by {protocol:?} at {to}:{port}"
            ),
        }
    }
}

fn run(snat: bool, bridge_nf: bool) {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    if !lan.set_bridge_nf(bridge_nf) && bridge_nf {
        return skip_for_kernel("br_netfilter");
    }
    lan.serve(Place::Pod(0), "::", 80);
    let keys = json!({"snat": snat});
    lan.map_with(0, &mappings(), &keys);
    let check = lan.conf(0, &mappings(), &keys);
    lan.node
        .run(&lan.call("CHECK", &lan.pods[0], &check))
        .silent();
    for family in [0, 1] {
        let (node, gateway) = (NODE[family], GATEWAY[family]);
        let near = |address| snat.then_some(address);
        // Without `snat`, the kernel's bridge sends the answers back as long as netfilter sees
        // them.
        let other_pod = match (snat, bridge_nf) {
            (true, _) => Some(gateway),
            (false, true) => Some(PODS[1][family]),
            (false, false) => None,
        };
        for port in [ANY, OUTER] {
            let client = Place::Outside;
            assert_seen(&lan, client, node, port, Some(OUTSIDE[family]));
            assert_seen(&lan, Place::Node, node, port, Some(node));
            assert_seen(&lan, Place::Pod(1), node, port, other_pod);
            assert_seen(&lan, Place::Pod(0), node, port, near(gateway));
        }
        assert_seen(&lan, Place::Pod(1), gateway, ANY, other_pod);
        assert_seen(&lan, Place::Node, gateway, OUTER, None);
        assert_seen(&lan, Place::Pod(1), gateway, OUTER, None);
        assert_seen(&lan, Place::Outside, node, LOOPBACK, None);
    }
    let from_loopback = snat.then_some(GATEWAY[0]);
    assert_seen(&lan, Place::Node, "127.0.0.1", ANY, from_loopback);
    assert_seen(&lan, Place::Node, "127.0.0.1", LOOPBACK, from_loopback);
    assert_seen(&lan, Place::Node, "127.0.0.1", OUTER, None);
    // The kernel does not let IPv6 leave its loopback address; the node's own services have it.
    assert_seen(&lan, Place::Node, "::1", ANY, None);
    lan.serve(Place::Node, "::1", ANY);
    assert_eq!(
        lan.ask(Place::Node, Protocol::Tcp, "::1", ANY),
        "node sees ::1"
    );

    lan.unmap(0);
    for family in [0, 1] {
        assert_seen(&lan, Place::Outside, NODE[family], ANY, None);
    }
}

#[test]
fn with_snat() {
    run(true, false);
}

#[test]
fn with_snat_and_bridge_nf() {
    run(true, true);
}

#[test]
fn without_snat() {
    run(false, false);
}

#[test]
fn without_snat_with_bridge_nf() {
    run(false, true);
}

#[test]
fn with_masq_all_every_client_has_the_nodes_address() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 80);
    lan.map_with(0, &mappings(), &json!({"masqAll": true}));
    for family in [0, 1] {
        for client in [Place::Outside, Place::Pod(0), Place::Pod(1)] {
            assert_seen(&lan, client, NODE[family], ANY, Some(GATEWAY[family]));
        }
    }
}

#[test]
fn an_unspecified_host_ip_is_of_one_family() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 80);
    lan.map(
        0,
        &json!([
            {"hostPort": 8080, "containerPort": 80, "hostIP": "0.0.0.0"},
            {"hostPort": 8081, "containerPort": 80, "hostIP": "::"},
            {"hostPort": 8080, "containerPort": 80, "protocol": "udp"},
            {"hostPort": 8081, "containerPort": 80, "protocol": "udp"},
        ]),
    );
    for (family, own, other) in [(0, 8080, 8081), (1, 8081, 8080)] {
        let node = NODE[family];
        assert!(
            lan.ask(Place::Outside, Protocol::Tcp, node, own)
                .starts_with("c1")
        );
        assert!(
            lan.ask(Place::Outside, Protocol::Udp, node, other)
                .starts_with("c1")
        );
        assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, node, other));
    }
}
