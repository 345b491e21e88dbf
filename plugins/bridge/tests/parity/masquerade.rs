//! `ipMasq`, observed at the packets' destination.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::conf::{GATEWAY, GATEWAY6, dual_stack, ipv4, ipv6, of_subnets};
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, NODE, NODE6, OUTSIDE, OUTSIDE6};
use crate::support::side::both;
use crate::support::traffic::{assert_reaches, listen_in, pings, seen_from};

both!(
    packets_that_leave_the_network_have_the_nodes_address,
    only_ipv6,
    without_ip_masq_packets_keep_their_source,
    packets_inside_the_network_keep_their_source,
    multicast_keeps_its_source,
    several_networks,
    masquerading_ends_with_the_attachment,
    masquerading_stays_for_the_addresss_next_owner,
);

fn conf() -> Value {
    dual_stack(json!({ "isDefaultGateway": true, "ipMasq": true }))
}

fn packets_that_leave_the_network_have_the_nodes_address(lab: &Lab) {
    let outside = outside::connect(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    for container in [&a, &b] {
        lab.add(container, &conf());
        // The other machine has no route to the container, so an answer proves the translation.
        assert_reaches(container, OUTSIDE);
        assert_reaches(container, OUTSIDE6);
        let seen = |at| seen_from(listen_in(&outside), at, &container.sandbox);
        assert_eq!(seen(OUTSIDE), NODE);
        assert_eq!(seen(OUTSIDE6), NODE6);
    }
}

fn only_ipv6(lab: &Lab) {
    let outside = outside::connect(lab);
    let container = Container::new("a");
    lab.add(
        &container,
        &ipv6(json!({ "isDefaultGateway": true, "ipMasq": true })),
    );
    let seen = seen_from(listen_in(&outside), OUTSIDE6, &container.sandbox);
    assert_eq!(seen, NODE6);
}

fn without_ip_masq_packets_keep_their_source(lab: &Lab) {
    let outside = outside::connect(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(
        &b,
        &dual_stack(json!({ "isDefaultGateway": true, "ipMasq": false })),
    );
    outside.ip(&format!("route add 10.1.1.0/24 via {NODE}"));
    let seen = |client: &Container| seen_from(listen_in(&outside), OUTSIDE, &client.sandbox);
    assert_eq!(seen(&b), "10.1.1.3");
    assert_eq!(seen(&a), NODE);
}

fn packets_inside_the_network_keep_their_source(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(&b, &conf());
    // Packets that only cross the bridge pass the rules, as on nodes of Kubernetes.
    for family in ["iptables", "ip6tables"] {
        lab.node
            .write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "1");
    }
    let at = |address| seen_from(listen_in(&b.sandbox), address, &a.sandbox);
    assert_eq!(at("10.1.1.3"), "10.1.1.2");
    assert_eq!(at("fd00:1::3"), "fd00:1::2");
    let node = |at| {
        let bound = lab.node.enter(|| std::net::TcpListener::bind(at));
        bound.unwrap()
    };
    assert_eq!(seen_from(node, GATEWAY, &a.sandbox), "10.1.1.2");
    assert_eq!(seen_from(node, GATEWAY6, &a.sandbox), "fd00:1::2");
}

fn multicast_keeps_its_source(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(&b, &conf());
    lab.node
        .write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1");
    let group = "239.1.2.3";
    let receiver = b.sandbox.enter(|| {
        let socket = UdpSocket::bind("0.0.0.0:7777").unwrap();
        let own = "10.1.1.3".parse().unwrap();
        socket
            .join_multicast_v4(&group.parse().unwrap(), &own)
            .unwrap();
        socket
    });
    receiver
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let sender = a.sandbox.enter(|| UdpSocket::bind("10.1.1.2:0").unwrap());
    let mut buffer = [0; 8];
    let came = (0..20).find_map(|_| {
        sender.send_to(b"hello", (group, 7777)).unwrap();
        receiver.recv_from(&mut buffer).ok()
    });
    let (_, from) = came.expect("the other container hears the group");
    assert_eq!(from.ip().to_string(), "10.1.1.2");
}

/// Packets of each address have the node's, also those from one network to another machine's.
fn several_networks(lab: &Lab) {
    let outside = outside::connect(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(
        &a,
        &ipv4(json!({ "isDefaultGateway": true, "ipMasq": true })),
    );
    let other = of_subnets(
        &["10.2.2.0/24"],
        json!({ "isDefaultGateway": true, "ipMasq": true, "name": "other", "bridge": "cni1" }),
    );
    lab.add(&b, &other);
    let seen = |client: &Container| seen_from(listen_in(&outside), OUTSIDE, &client.sandbox);
    assert_eq!(seen(&a), NODE);
    assert_eq!(seen(&b), NODE);
    // Another network is outside too.
    let at_b = seen_from(listen_in(&b.sandbox), "10.2.2.2", &a.sandbox);
    assert_eq!(at_b, "10.2.2.1");
    lab.del(&b, &other);
    assert_eq!(seen(&a), NODE);
}

fn masquerading_ends_with_the_attachment(lab: &Lab) {
    let outside = outside::connect(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    let masqueraded = ipv4(json!({ "isDefaultGateway": true, "ipMasq": true }));
    lab.add(&a, &masqueraded);
    assert_reaches(&a, OUTSIDE);
    lab.del(&a, &masqueraded);
    // Another container gets the address, and is not masqueraded.
    let plain = ipv4(json!({
        "isDefaultGateway": true,
        "ipam": { "ranges": [[{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.2" }]] },
    }));
    let result = lab.add(&b, &plain);
    assert_eq!(result["ips"][0]["address"], "10.1.1.2/24");
    assert!(!pings(&b, &[OUTSIDE]));
    drop(outside);
}

/// IPAM may have allocated an address again before the runtime calls the former owner's DEL.
fn masquerading_stays_for_the_addresss_next_owner(lab: &Lab) {
    let outside = outside::connect(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    let conf = ipv4(json!({
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipam": { "ranges": [[{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.2" }]] },
    }));
    lab.add(&a, &conf);
    a.ip("link set eth0 down");
    let file = "/var/lib/cni/networks/net/10.1.1.2";
    lab.node.enter(|| std::fs::remove_file(file)).unwrap();
    lab.add(&b, &conf);
    lab.del(&a, &conf);
    assert_eq!(lab.taken(), ["10.1.1.2"]);
    assert_reaches(&b, OUTSIDE);
    let seen = seen_from(listen_in(&outside), OUTSIDE, &b.sandbox);
    assert_eq!(seen, NODE);
}
