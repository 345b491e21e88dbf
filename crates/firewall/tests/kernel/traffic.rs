//! Packets leave with the right source address.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use firewall::Iptables;

use crate::lan::{CONTAINER, Lan, NODE, OUTSIDE, STRAYED, TIMEOUT, run, sent, udp_from};
use crate::*;

const BOTH: [&str; 2] = ["10.244.1.2/24", "fd00:10::2/64"];

/// Asserts the source address that the outside machine sees on the first container's packets.
#[track_caller]
fn assert_seen(lan: &Lan, address: [&str; 2], seen: [&str; 2]) {
    for (address, seen) in address.into_iter().zip(seen) {
        let seen: std::net::IpAddr = seen.parse().unwrap();
        assert_eq!(lan.seen_at(address), [seen, seen], "at {address}");
    }
}

#[test]
fn packets_that_leave_the_containers_network_have_the_nodes_address() {
    if namespace().is_none() {
        return;
    }
    let lan = Lan::new();
    let mut nftables = nftables(&lan.node);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    assert_seen(&lan, OUTSIDE, CONTAINER);
    nftables.masquerade(&cbr0, &c1, &addresses(&BOTH)).unwrap();
    assert_seen(&lan, OUTSIDE, NODE);
    assert_seen(&lan, STRAYED, CONTAINER);
    // The second container is in the same network, but not masqueraded.
    let other = udp_from(&lan.containers[1], &lan.outside, OUTSIDE[0], TIMEOUT);
    assert_eq!(other, Some([10, 244, 1, 3].into()));
    // Packets between containers.
    let [first, second] = &lan.containers;
    let within = udp_from(first, second, "10.244.1.3", TIMEOUT);
    assert_eq!(within, Some([10, 244, 1, 2].into()));

    // Without a route back, only the node's address gets an answer.
    run(&lan.outside, "route del 10.244.1.0/24");
    run(&lan.outside, "route del fd00:10::/64");
    for address in OUTSIDE {
        assert!(lan.is_answered(address), "{address}");
    }
    nftables.remove(&cbr0, &c1).unwrap();
    for address in OUTSIDE {
        assert!(!lan.is_answered(address), "{address}");
    }
}

#[test]
fn an_address_without_a_network_is_masqueraded_everywhere() {
    if namespace().is_none() {
        return;
    }
    let lan = Lan::new();
    let hosts = addresses(&["10.244.1.2/32", "fd00:10::2/128"]);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    nftables(&lan.node).masquerade(&cbr0, &c1, &hosts).unwrap();
    assert_seen(&lan, OUTSIDE, NODE);
    assert_seen(&lan, STRAYED, NODE);
}

#[test]
fn a_prefix_may_end_within_a_byte() {
    if namespace().is_none() {
        return;
    }
    let lan = Lan::new();
    let mut nftables = nftables(&lan.node);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    // Address 200 is in the upper half.
    let halves = addresses(&["10.244.1.2/25", "fd00:10::2/121"]);
    nftables.masquerade(&cbr0, &c1, &halves).unwrap();
    assert_seen(&lan, STRAYED, NODE);
    let wider = addresses(&["10.244.1.2/15", "fd00:10::2/31"]);
    nftables.masquerade(&cbr0, &c1, &wider).unwrap();
    assert_seen(&lan, STRAYED, CONTAINER);
    assert_seen(&lan, OUTSIDE, NODE);
    let shown = ruleset(&lan.node);
    assert!(
        shown.contains("ip saddr @from-10.244.0.0/15 ip daddr != 10.244.0.0/15 masquerade"),
        "{shown}"
    );
}

// Nothing forwards multicast here, so the node itself sends from a masqueraded address.
#[test]
fn multicast_keeps_its_source() {
    if namespace().is_none() {
        return;
    }
    let lan = Lan::new();
    run(&lan.node, "addr add 10.244.1.77/32 dev wan");
    run(&lan.node, "route add 239.1.1.1 dev wan");
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    let held = addresses(&["10.244.1.77/24"]);
    nftables(&lan.node).masquerade(&cbr0, &c1, &held).unwrap();
    for (to, seen) in [
        ("239.1.1.1:7007", [10, 244, 1, 77]),
        ("192.0.2.2:7008", [192, 0, 2, 1]),
    ] {
        let to: SocketAddr = to.parse().unwrap();
        let receiver = lan.outside.enter(|| {
            let receiver = UdpSocket::bind(("0.0.0.0", to.port())).unwrap();
            let group = Ipv4Addr::new(239, 1, 1, 1);
            receiver
                .join_multicast_v4(&group, &Ipv4Addr::new(192, 0, 2, 2))
                .unwrap();
            receiver
        });
        // A socket each: the kernel remembers a connection by its ports.
        let sender = lan.node.enter(|| UdpSocket::bind("10.244.1.77:0").unwrap());
        let from = sent(&sender, to, &receiver, TIMEOUT);
        assert_eq!(from, Some(seen.into()), "{to}");
    }
}

#[test]
fn iptables_has_the_same_effect() {
    if namespace().is_none() || !crate::iptables::is_installed() {
        return;
    }
    let lan = Lan::new();
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    let held = addresses(&BOTH);
    lan.node
        .enter(|| Iptables.masquerade(&cbr0, &c1, &held).unwrap());
    assert_seen(&lan, OUTSIDE, NODE);
    assert_seen(&lan, STRAYED, CONTAINER);
    lan.node
        .enter(|| Iptables.remove(&cbr0, &c1, None).unwrap());
    assert_seen(&lan, OUTSIDE, CONTAINER);
}
