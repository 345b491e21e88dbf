//! What is only read: the numbers of namespaces, counters and neighbours.

use netlink::{Change, Counters, LinkRef, Mac, Neighbour, Reachability};
use testkit::NetNs;

use crate::{Pair, up};

#[test]
fn a_pair_names_both_namespaces_by_their_numbers() {
    let Some(pair) = Pair::new() else { return };
    let other = NetNs::new().unwrap();
    let other = other.path();
    pair.run(|both| {
        let bridge = both.bridge();
        // Before a link leads there, a namespace has no number.
        assert_eq!(both.host.number_of(&both.netns).unwrap(), None);
        let (near, far) = both.veth("veth0", "eth0", bridge.index);
        let near = both
            .host
            .apply_and_read(&[], LinkRef::Index(near.index))
            .unwrap();
        let far = both
            .container
            .apply_and_read(&[], LinkRef::Index(far.index))
            .unwrap();
        let (near, far) = (near.parent.unwrap(), far.parent.unwrap());
        assert!(near.netns.is_some() && far.netns.is_some());
        assert_eq!(both.host.number_of(&both.netns).unwrap(), near.netns);
        assert_eq!(both.container.number_of(&both.home).unwrap(), far.netns);
        let other = netlink::Netns::open(&other).unwrap();
        assert_eq!(both.host.number_of(&other).unwrap(), None);
    });
}

#[test]
fn neighbours_and_counters_are_those_of_the_link() {
    let Some(pair) = Pair::new() else { return };
    let link = pair.run(|both| {
        let bridge = both.bridge();
        let (_, far) = both.veth("veth0", "eth0", bridge.index);
        let changes = [
            Change::SetLink {
                link: far.index,
                change: up(),
            },
            Change::add_address(far.index, "10.244.1.7/24".parse().unwrap(), false),
        ];
        both.container.apply(&changes).unwrap();
        far.index
    });
    for (address, mac) in [
        ("10.244.1.1", "02:00:00:00:00:01"),
        ("fd00::1", "02:00:00:00:00:02"),
    ] {
        pair.container
            .ip(&format!("neigh add {address} lladdr {mac} dev eth0"));
    }
    pair.run(|both| {
        let mut found = both.container.neighbours(link).unwrap();
        found.sort_by_key(|it| it.address);
        found.retain(|it| it.state == Reachability::Permanent);
        let neighbour = |address: &str, last| Neighbour {
            address: address.parse().unwrap(),
            mac: Some(Mac([2, 0, 0, 0, 0, last])),
            state: Reachability::Permanent,
        };
        assert_eq!(found, [neighbour("10.244.1.1", 1), neighbour("fd00::1", 2)]);
        let lo = both.container.link_by_name("lo").unwrap().unwrap();
        assert_eq!(both.container.neighbours(lo.index).unwrap(), []);
        let counters = both.container.counters(lo.index).unwrap();
        assert_eq!(counters, Some(Counters::default()));
        assert_eq!(both.container.counters(4711).unwrap(), None);
    });
    // What the link itself says, where the kernel has sent something of its own.
    pair.container.ip("link set lo up");
    pair.container.ip("address add 10.9.9.9/32 dev lo");
    let mut ping = std::process::Command::new("ping");
    let output = pair
        .container
        .command(ping.args(["-n", "-c3", "-i0.01", "-s100", "10.9.9.9"]));
    assert!(output.status.success(), "{output:?}");
    pair.run(|both| {
        let lo = both.container.link_by_name("lo").unwrap().unwrap();
        let counters = both.container.counters(lo.index).unwrap().unwrap();
        // Three questions and three answers of 100 bytes, with the headers of IP and ICMP.
        assert_eq!((counters.sent_packets, counters.sent_bytes), (6, 6 * 128));
        assert_eq!(
            (counters.received_packets, counters.received_bytes),
            (6, 6 * 128)
        );
        assert_eq!((counters.sent_dropped, counters.received_dropped), (0, 0));
    });
}
