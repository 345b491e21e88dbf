//! Containers on different nodes reach each other with each backend.

use crate::backend::FlannelBackend;
use crate::cluster::{Cluster, Member};
use crate::lease::Family::{self, V4, V6};
use crate::reach::{assert_passes, assert_streams, assert_too_large, assert_turned_back};

const ETHERNET: u32 = 1500;

fn cross(backend: FlannelBackend, families: &'static [Family], wire_mtu: u32) {
    let Some(cluster) = Cluster::new(backend, families, wire_mtu) else {
        return;
    };
    for (from, to) in cluster.both_ways() {
        for family in families {
            assert_passes(from, to, *family, 100);
            let largest = cluster.largest(*family);
            assert_passes(from, to, *family, largest);
            if largest == cluster.lease_mtu() {
                assert_too_large(from, to, *family, largest);
            } else {
                assert_turned_back(from, to, *family, largest);
            }
            assert_streams(from, to, *family);
        }
    }
    for member in &cluster.members {
        assert_eq!(fragments(member), 0, "node {}", member.number);
    }
    cluster.end();
}

/// The number of fragments that a node has created so far.
#[track_caller]
fn fragments(member: &Member) -> u64 {
    let of_ipv4 = member.lab.node.read("/proc/thread-self/net/snmp");
    // Two lines that start with `Ip:`, first the names and then the numbers.
    let mut rows = of_ipv4
        .lines()
        .filter_map(|line| line.strip_prefix("Ip: "))
        .map(|row| row.split(' ').collect::<Vec<_>>());
    let (names, numbers) = (rows.next().unwrap(), rows.next().unwrap());
    let place = names.iter().position(|name| *name == "FragCreates");
    let of_ipv6 = member.lab.node.read("/proc/thread-self/net/snmp6");
    let counter = of_ipv6
        .lines()
        .find(|line| line.starts_with("Ip6FragCreates"));
    let number = counter.unwrap().split_whitespace().nth(1).unwrap();
    numbers[place.unwrap()].parse::<u64>().unwrap() + number.parse::<u64>().unwrap()
}

#[test]
fn packets_cross_vxlan_in_ipv4() {
    cross(FlannelBackend::Vxlan, &[V4], ETHERNET);
}

#[test]
fn packets_cross_vxlan_in_both_families() {
    cross(FlannelBackend::Vxlan, &[V4, V6], ETHERNET);
}

#[test]
fn packets_cross_vxlan_on_a_wire_with_jumbo_frames() {
    cross(FlannelBackend::Vxlan, &[V4], 9000);
}

#[test]
fn packets_cross_plain_routes_in_ipv4() {
    cross(FlannelBackend::HostGateway, &[V4], ETHERNET);
}

#[test]
fn packets_cross_plain_routes_in_both_families() {
    cross(FlannelBackend::HostGateway, &[V4, V6], ETHERNET);
}
