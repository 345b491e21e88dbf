//! Only the node itself reaches its loopback address (CVE-2020-8558).

use serde_json::json;
use testkit::{NetNs, Side};

use crate::support::{Lan, Place, Protocol};

/// Lets a machine send packets for 127.0.0.1 to the node.
fn send_loopback_to(machine: &NetNs, gateway: &str) {
    let path = "/proc/sys/net/ipv4/conf/all/route_localnet";
    machine.enter(|| std::fs::write(path, "1")).unwrap();
    machine.ip("addr del 127.0.0.1/8 dev lo");
    machine.ip(&format!("route add 127.0.0.0/8 via {gateway}"));
}

/// Once no container has a port, GC removes the guard only if no link lets packets for the loopback
/// address in.
#[test]
fn the_guard_outlives_the_last_port_while_a_link_needs_it() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Node, "127.0.0.1", 9999);
    let ports = json!([{"hostPort": 8080, "containerPort": 80}]);
    let conf = lan.conf(0, &ports, &json!({}));
    let gc = json!({
        "cniVersion": "1.1.0", "name": "cbr0", "type": "portmap",
        "cni.dev/valid-attachments": [],
    });
    let gc = || lan.node.run(&lan.call_alone("GC", &gc)).silent();
    let setting = |link: &str| {
        let path = format!("/proc/sys/net/ipv4/conf/{link}/route_localnet");
        lan.node.read(path).trim().to_owned()
    };
    send_loopback_to(&lan.pods[1].sandbox, "10.244.1.1");
    let is_answered = || lan.is_answered(Place::Pod(1), Protocol::Tcp, "127.0.0.1", 9999);

    // Another program has opened a link, or may have: this bridge is none of Twill's.
    lan.set("ipv4/conf/wan/route_localnet", "1");
    lan.map(0, &ports);
    gc();
    assert_eq!([setting("cni0"), setting("wan")], ["1", "1"]);
    assert!(lan.ruleset().contains("twill_portmap"));
    assert!(!is_answered());
    lan.set("ipv4/conf/wan/route_localnet", "0");
    lan.map(0, &ports);
    lan.node.run(&lan.call("DEL", &lan.pods[0], &conf)).silent();
    gc();
    assert_eq!(setting("cni0"), "1");
    assert!(!is_answered());
    // The last port goes at the GC, so the link is known to be that of containers.
    lan.map(0, &ports);
    gc();
    assert_eq!(setting("cni0"), "0");
    assert!(!lan.ruleset().contains("twill_portmap"));
    assert!(!is_answered());
}

#[test]
fn a_container_does_not_reach_the_nodes_own_services() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Node, "127.0.0.1", 9999);
    lan.map(0, &json!([{"hostPort": 8080, "containerPort": 80}]));
    assert_eq!(
        lan.node
            .read("/proc/sys/net/ipv4/conf/cni0/route_localnet")
            .trim(),
        "1"
    );
    assert_eq!(
        lan.node
            .read("/proc/sys/net/ipv4/conf/all/route_localnet")
            .trim(),
        "0"
    );
    send_loopback_to(&lan.pods[1].sandbox, "10.244.1.1");
    send_loopback_to(&lan.outside, "192.0.2.1");
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for place in [Place::Pod(1), Place::Outside] {
            assert!(
                !lan.is_answered(place, protocol, "127.0.0.1", 9999),
                "{place:?}"
            );
        }
        assert_eq!(
            lan.ask(Place::Node, protocol, "127.0.0.1", 9999),
            "node sees 127.0.0.1"
        );
    }
    // The guard is what keeps the container out.
    lan.nft("flush chain ip twill_portmap guard");
    assert_eq!(
        lan.ask(Place::Pod(1), Protocol::Udp, "127.0.0.1", 9999),
        "node sees 10.244.1.3"
    );
    // The next ADD restores it.
    lan.map(1, &json!([{"hostPort": 8081, "containerPort": 80}]));
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        assert!(!lan.is_answered(Place::Pod(1), protocol, "127.0.0.1", 9999));
    }
}
