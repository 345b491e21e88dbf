//! Packets that are not for the node, or that a kube-proxy service takes, are left alone.

use serde_json::json;
use testkit::Side;

use crate::support::{Lan, NODE, Place, Protocol};

fn mapped() -> Option<Lan> {
    let lan = Lan::new(Side::Ours)?;
    lan.serve(Place::Pod(0), "::", 80);
    lan.serve(Place::Pod(1), "::", 80);
    lan.map(
        0,
        &json!([
            {"hostPort": 8080, "containerPort": 80},
            {"hostPort": 8080, "containerPort": 80, "protocol": "udp"},
        ]),
    );
    Some(lan)
}

// CVE-2019-9946: a host port must not take a service's packets.
#[test]
fn the_rule_of_a_service_wins() {
    let Some(lan) = mapped() else { return };
    for (family, table, to) in [(0, "ip", "10.244.1.3:80"), (1, "ip6", "[fd00:10::3]:80")] {
        let node = NODE[family];
        let before = lan.ask(Place::Outside, Protocol::Tcp, node, 8080);
        assert!(before.starts_with("c1 sees"), "{before}");
        lan.nft(&format!(
            "table {table} kube-proxy {{
                chain nat-prerouting {{
                    type nat hook prerouting priority dstnat;
                    {table} daddr {node} tcp dport 8080 dnat to {to}
                }}
                chain nat-output {{
                    type nat hook output priority -100;
                    {table} daddr {node} tcp dport 8080 dnat to {to}
                }}
            }}"
        ));
        for client in [Place::Outside, Place::Node] {
            let after = lan.ask(client, Protocol::Tcp, node, 8080);
            assert!(after.starts_with("c2 sees"), "{client:?}: {after}");
        }
    }
}

// A client of a service keeps its address, even if the service has the number of a host port.
#[test]
fn a_client_of_a_service_keeps_its_source() {
    let Some(lan) = mapped() else { return };
    lan.set_bridge_nf(true);
    lan.nft(
        "table ip kube-proxy {
            chain nat-prerouting {
                type nat hook prerouting priority dstnat;
                ip daddr 10.96.0.1 tcp dport 8080 dnat to 10.244.1.2:80
            }
        }",
    );
    if !lan.set_bridge_nf(true) {
        return testkit::requirements::skip_for_kernel("br_netfilter");
    }
    assert_eq!(
        lan.ask(Place::Pod(1), Protocol::Tcp, "192.0.2.1", 8080),
        "c1 sees 10.244.1.1"
    );
    assert_eq!(
        lan.ask(Place::Pod(1), Protocol::Tcp, "10.96.0.1", 8080),
        "c1 sees 10.244.1.3"
    );
}

// CVE-2025-67499: packets that the node forwards are not for it.
#[test]
fn packets_for_other_machines_are_left_alone() {
    let Some(lan) = mapped() else { return };
    lan.outside.ip("addr add 198.51.100.7/32 dev lo");
    lan.node.ip("route add 198.51.100.7 via 192.0.2.2");
    lan.outside.ip("route add 10.244.1.0/24 via 192.0.2.1");
    lan.serve(Place::Outside, "198.51.100.7", 8080);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for (client, seen) in [(Place::Pod(1), "10.244.1.3"), (Place::Node, "192.0.2.1")] {
            assert_eq!(
                lan.ask(client, protocol, "198.51.100.7", 8080),
                format!("outside sees {seen}")
            );
        }
    }
}

// kube-proxy with IPVS gives the addresses of all services to a link of this name, and takes their
// packets after these rules; a server on the node stands for it.
#[test]
fn addresses_of_ipvs_services_are_left_alone() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.node.ip("link add kube-ipvs0 type bridge");
    lan.node.ip("addr add 10.96.0.10/32 dev kube-ipvs0");
    lan.node.ip("addr add fd96::10/128 dev kube-ipvs0 nodad");
    lan.serve(Place::Pod(0), "::", 80);
    let mappings = json!([
        {"hostPort": 8080, "containerPort": 80},
        {"hostPort": 8080, "containerPort": 80, "protocol": "udp"},
    ]);
    lan.map(0, &mappings);
    lan.checked(0, &mappings).silent();
    // A service may come later.
    lan.node.ip("addr add 10.96.0.11/32 dev kube-ipvs0");
    lan.outside.ip("route add 10.96.0.0/24 via 192.0.2.1");
    lan.outside.ip("route add fd96::/64 via 2001:db8::1");
    for service in ["10.96.0.10", "10.96.0.11", "fd96::10"] {
        lan.serve(Place::Node, service, 8080);
        for client in [Place::Outside, Place::Node, Place::Pod(1)] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let answer = lan.ask(client, protocol, service, 8080);
                assert!(
                    answer.starts_with("node sees"),
                    "{client:?} {service}: {answer}"
                );
            }
        }
    }
    for node in NODE {
        let answer = lan.ask(Place::Outside, Protocol::Tcp, node, 8080);
        assert!(answer.starts_with("c1 sees"), "{answer}");
    }
    // An address that the node gets is mapped from the next ADD on.
    lan.node.ip("addr add 192.0.2.9/24 dev wan");
    lan.map(1, &json!([{"hostPort": 8081, "containerPort": 80}]));
    let answer = lan.ask(Place::Outside, Protocol::Tcp, "192.0.2.9", 8080);
    assert!(answer.starts_with("c1 sees"), "{answer}");
}
