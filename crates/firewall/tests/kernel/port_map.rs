//! The tables of port maps: what they contain, and what others take out of them.

use std::sync::atomic::{AtomicBool, Ordering};

use firewall::{Conditions, PortMap, PortMapping, Snat, Transport};

use crate::damage::{state, state_of};
use crate::*;

/// A container's port map: port `8000 + number` of all addresses, UDP port 53 of one, and a port in
/// a network with conditions.
#[track_caller]
fn map(nftables: &mut Nftables, number: u8) {
    map_with(nftables, number, Snat::WhereNeeded);
}

#[track_caller]
fn map_with(nftables: &mut Nftables, number: u8, snat: Snat) {
    let held = [
        format!("10.244.1.{number}/24"),
        format!("fd00:10::{number}/64"),
    ];
    let held: Vec<_> = held.iter().map(|text| text.parse().unwrap()).collect();
    let mapping = |protocol, host_ip: Option<&str>, host_port| PortMapping {
        protocol,
        host_ip: host_ip.map(|ip| ip.parse().unwrap()),
        host_port,
        container_port: 80,
    };
    let own = format!("192.0.2.{number}");
    let plain = [
        mapping(Transport::Tcp, None, 8000 + u16::from(number)),
        mapping(Transport::Udp, Some(&own), 53),
        mapping(Transport::Sctp, Some("fd00:1::1"), 100 + u16::from(number)),
    ];
    let conditioned = [mapping(Transport::Tcp, None, 9000 + u16::from(number))];
    let words = |text: &str| vec![text.to_owned()];
    let conditions4 = Conditions::parse(&words("ip saddr { 10.0.0.0/8, 192.0.2.0/25 }"), false);
    let conditions6 = Conditions::parse(&words("ip6 daddr != fd00::/16 iifname eth0"), true);
    let attachment = attachment(&format!("c{number}"), "eth0");
    let map = PortMap {
        addresses: &held,
        mappings: &plain,
        snat,
        conditions4: None,
        conditions6: None,
    };
    nftables
        .map_ports(&network("cbr0"), &attachment, &map, None)
        .unwrap();
    // Another interface has other addresses.
    let held = [
        format!("10.245.1.{number}/32"),
        format!("fd00:11::{number}/128"),
    ];
    let held: Vec<_> = held.iter().map(|text| text.parse().unwrap()).collect();
    let map = PortMap {
        addresses: &held,
        mappings: &conditioned,
        conditions4: conditions4.unwrap(),
        conditions6: conditions6.unwrap(),
        ..map
    };
    nftables
        .map_ports(&network("cbr1"), &attachment, &map, None)
        .unwrap();
}

/// A port map of a network without conditions.
fn unconditional<'a>(addresses: &'a [IpNetwork], mappings: &'a [PortMapping]) -> PortMap<'a> {
    PortMap {
        addresses,
        mappings,
        snat: Snat::WhereNeeded,
        conditions4: None,
        conditions6: None,
    }
}

#[track_caller]
fn unmap(nftables: &mut Nftables, number: u8) -> usize {
    let attachment = attachment(&format!("c{number}"), "eth0");
    let first = nftables.unmap_ports(&network("cbr0"), &attachment).unwrap();
    let second = nftables.unmap_ports(&network("cbr1"), &attachment).unwrap();
    first.len() + second.len()
}

#[test]
fn an_attachments_mappings_come_and_go() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    map(&mut nftables, 1);
    let expected = state_of(include_str!("port_map.nft"));
    assert_eq!(state_of(&ruleset(&netns)), expected);
    map(&mut nftables, 1);
    assert_eq!(state_of(&ruleset(&netns)), expected, "once more");
    let before = state(&netns);
    map(&mut nftables, 2);
    for (other_network, other) in [
        ("cbr2", attachment("c2", "eth0")),
        ("cbr0", attachment("c2", "eth1")),
        ("cbr0", attachment("c3", "eth0")),
    ] {
        assert!(
            nftables
                .unmap_ports(&network(other_network), &other)
                .unwrap()
                .is_empty()
        );
    }
    assert_ne!(state(&netns), before);
    assert_eq!(unmap(&mut nftables, 2), 6);
    assert_eq!(state(&netns), before);
    assert_eq!(unmap(&mut nftables, 2), 0);
    // A changed configuration replaces what was there.
    map_with(&mut nftables, 1, Snat::All);
    map_with(&mut nftables, 1, Snat::Off);
    map(&mut nftables, 1);
    assert_eq!(state(&netns), before);
}

#[test]
fn what_a_network_no_longer_has_is_collected() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    for number in [1, 2] {
        map(&mut nftables, number);
    }
    let both = valid(&[("c1", "eth0"), ("c2", "eth0")]);
    let before = state(&netns);
    let collect = |nftables: &mut Nftables, name: &str, valid: &ValidAttachments| {
        nftables.gc_port_maps(&network(name), valid).unwrap().len()
    };
    assert_eq!(collect(&mut nftables, "cbr0", &both), 0);
    assert_eq!(collect(&mut nftables, "cbr2", &valid(&[])), 0);
    assert_eq!(state(&netns), before);
    assert_eq!(
        collect(
            &mut nftables,
            "cbr0",
            &valid(&[("c1", "eth0"), ("c2", "eth1")])
        ),
        4
    );
    assert_eq!(collect(&mut nftables, "cbr1", &valid(&[("c1", "eth0")])), 2);
    assert_eq!(unmap(&mut nftables, 1), 6);
    assert_eq!(collect(&mut nftables, "cbr0", &valid(&[])), 0);
    assert_eq!(printed(&netns, "nft list ruleset"), "");
}

/// Damages of the tables. Each leaves enough to rebuild the rest.
const DAMAGES: &[&str] = &[
    "flush table FAMILY twill_portmap",
    "flush chain FAMILY twill_portmap prerouting",
    "flush chain FAMILY twill_portmap output",
    "flush chain FAMILY twill_portmap postrouting",
    "flush map FAMILY twill_portmap owners",
    "flush map FAMILY twill_portmap waiting",
    "flush map FAMILY twill_portmap host-ports",
    "flush map FAMILY twill_portmap host-addresses",
    "flush set FAMILY twill_portmap hairpins",
    "flush set FAMILY twill_portmap to-all",
    "flush set FAMILY twill_portmap local",
    "add table FAMILY twill_portmap { flags dormant; }",
    "flush chain FAMILY twill_portmap output; delete chain FAMILY twill_portmap output",
    "add rule FAMILY twill_portmap prerouting tcp dport 1 accept; \
    flush chain FAMILY twill_portmap prerouting",
];

#[track_caller]
fn damage(netns: &NetNs, damage: &str) {
    for family in ["ip", "ip6"] {
        nft(netns, &damage.replace("FAMILY", family));
    }
}

#[test]
fn the_next_add_repairs() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    for number in [1, 2, 3] {
        map(&mut nftables, number);
    }
    let expected = state(&netns);
    for harm in DAMAGES {
        unmap(&mut nftables, 3);
        damage(&netns, harm);
        map(&mut nftables, 3);
        assert_eq!(state(&netns), expected, "{harm}");
        map(&mut nftables, 3);
        assert_eq!(state(&netns), expected, "{harm}, once more");
    }
    // Where nothing is left, the next ADDs rebuild everything.
    nft(&netns, "flush ruleset");
    for number in [3, 1, 2] {
        map(&mut nftables, number);
    }
    assert_eq!(state(&netns), expected);
}

#[test]
fn a_repair_restores_what_is_missing() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    for number in [1, 2] {
        map(&mut nftables, number);
    }
    let expected = state(&netns);
    assert_eq!(nftables.repair().unwrap(), [""; 0]);
    for harm in DAMAGES {
        damage(&netns, harm);
        let changes = !harm.contains("set FAMILY twill_portmap local");
        assert_eq!(nftables.repair().unwrap().is_empty(), !changes, "{harm}");
        assert_eq!(state(&netns), expected, "{harm}");
        assert_eq!(nftables.repair().unwrap(), [""; 0], "{harm}, once more");
    }
}

#[test]
fn a_del_finds_its_mappings_whatever_was_flushed() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    map(&mut nftables, 1);
    let expected = state(&netns);
    for harm in DAMAGES {
        map(&mut nftables, 2);
        damage(&netns, harm);
        assert_eq!(unmap(&mut nftables, 2), 6, "{harm}");
        nftables.repair().unwrap();
        assert_eq!(state(&netns), expected, "{harm}");
    }
}

// firewalld and administrators save the ruleset and load it again.
#[test]
fn what_nft_restores_needs_no_repair() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    for number in [1, 2] {
        map(&mut nftables, number);
    }
    map_with(&mut nftables, 3, Snat::All);
    let expected = state(&netns);
    let saved = printed(&netns, "nft list ruleset");
    nft(&netns, "flush ruleset");
    nft(&netns, &saved);
    assert_eq!(state(&netns), expected);
    assert_eq!(nftables.repair().unwrap(), [""; 0]);
    assert_eq!(unmap(&mut nftables, 3), 6);
    map_with(&mut nftables, 3, Snat::All);
    assert_eq!(state(&netns), expected);
}

#[test]
fn eight_at_a_time_leave_what_each_wants() {
    let Some(netns) = namespace() else { return };
    // Each round, all of them claim the ports of their neighbour.
    std::thread::scope(|scope| {
        for number in 1..=8 {
            let netns = &netns;
            scope.spawn(move || {
                let mut nftables = nftables(netns);
                for round in 0..12 {
                    map(&mut nftables, number);
                    if round < 11 {
                        unmap(&mut nftables, number);
                    }
                }
            });
        }
    });
    let found = state(&netns);
    let mut alone = nftables(&netns);
    assert_eq!(alone.repair().unwrap(), [""; 0]);
    nft(&netns, "flush ruleset");
    for number in 1..=8 {
        map(&mut alone, number);
    }
    assert_eq!(state(&netns), found);
}

/// Short operations that follow each other without a pause let a long one have its turn.
#[test]
fn a_long_operation_succeeds_among_short_ones() {
    let Some(netns) = namespace() else { return };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 1..=7 {
            let (netns, is_over) = (&netns, &is_over);
            scope.spawn(move || {
                let mut nftables = nftables(netns);
                while !is_over.load(Ordering::Relaxed) {
                    map(&mut nftables, number);
                    unmap(&mut nftables, number);
                }
            });
        }
        let mut nftables = nftables(&netns);
        let held = ["10.244.1.99/24".parse().unwrap()];
        let mapping = |number: u16| PortMapping {
            protocol: Transport::Tcp,
            host_ip: None,
            host_port: 20_000 + number,
            container_port: 80,
        };
        let mappings: Vec<_> = (0..400).map(mapping).collect();
        let map = unconditional(&held, &mappings);
        // What differs from the first map makes the operation read all of it.
        let outcomes = [&mappings[..], &mappings[1..]].map(|mappings| {
            let map = PortMap { mappings, ..map };
            nftables.map_ports(&network("cbr0"), &attachment("c99", "eth0"), &map, None)
        });
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(outcomes.map(Result::unwrap), [false, true]);
    });
}

#[test]
fn claims_of_one_port_at_a_time_end_with_one_winner() {
    let Some(netns) = namespace() else { return };
    let claim = |nftables: &mut Nftables, number: u8| {
        let held = [format!("10.244.1.{number}/24").parse().unwrap()];
        let mapping = PortMapping {
            protocol: Transport::Tcp,
            host_ip: None,
            host_port: 8080,
            container_port: 80,
        };
        let map = unconditional(&held, std::slice::from_ref(&mapping));
        let attachment = attachment(&format!("c{number}"), "eth0");
        nftables
            .map_ports(&network("cbr0"), &attachment, &map, None)
            .unwrap();
    };
    std::thread::scope(|scope| {
        for number in 1..=8 {
            let (netns, claim) = (&netns, &claim);
            scope.spawn(move || {
                let mut nftables = nftables(netns);
                for _ in 0..8 {
                    claim(&mut nftables, number);
                    unmap(&mut nftables, number);
                }
                claim(&mut nftables, number);
            });
        }
    });
    let mut nftables = nftables(&netns);
    // Whoever goes, another one has the port, until all are gone.
    for number in 1..=8 {
        let winners = elements(&netns, "ip twill_portmap host-ports");
        assert_eq!(winners.len(), 1, "{winners:?}");
        let waiting = elements(&netns, "ip twill_portmap waiting");
        assert_eq!(waiting.len(), usize::from(8 - number), "{waiting:?}");
        assert_eq!(unmap(&mut nftables, number), 1);
    }
    for set in [
        "host-ports",
        "waiting",
        "owners",
        "hairpins",
        "to-10.244.1.0/24",
    ] {
        assert_eq!(
            elements(&netns, &format!("ip twill_portmap {set}")),
            [""; 0],
            "{set}"
        );
    }
}

#[test]
fn a_container_may_have_hundreds_of_ports() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let held = addresses(&["10.244.1.2/24"]);
    let mapping = |host_port| PortMapping {
        protocol: Transport::Udp,
        host_ip: None,
        host_port,
        container_port: host_port,
    };
    let mappings: Vec<_> = (10_000..10_400).map(mapping).collect();
    let map = unconditional(&held, &mappings);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    nftables.map_ports(&cbr0, &c1, &map, None).unwrap();
    assert_eq!(elements(&netns, "ip twill_portmap host-ports").len(), 400);
    assert_eq!(nftables.missing_port_map(&cbr0, &c1, &map).unwrap(), None);
    nft(&netns, "flush map ip twill_portmap owners");
    assert_eq!(nftables.unmap_ports(&cbr0, &c1).unwrap().len(), 400);
    assert_eq!(elements(&netns, "ip twill_portmap host-ports"), [""; 0]);
}

/// A rebuilt record lacks the prefix of the container's network if SNAT does not need it.
#[test]
fn a_check_accepts_rebuilt_records() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let cbr0 = network("cbr0");
    let mapping = |number: u16| PortMapping {
        protocol: Transport::Tcp,
        host_ip: None,
        host_port: 8000 + number,
        container_port: 80,
    };
    let mut containers = Vec::new();
    for (number, snat) in (1..).zip([Snat::Off, Snat::WhereNeeded, Snat::All]) {
        let addresses: [IpNetwork; 2] = [
            format!("10.244.1.{number}/24").parse().unwrap(),
            format!("fd00:10::{number}/64").parse().unwrap(),
        ];
        let attachment = attachment(&format!("c{number}"), "eth0");
        containers.push((attachment, addresses, [mapping(number)], snat));
    }
    let map_of = |addresses, mappings, snat| PortMap {
        snat,
        ..unconditional(addresses, mappings)
    };
    for (attachment, addresses, mappings, snat) in &containers {
        let map = map_of(addresses, mappings, *snat);
        nftables.map_ports(&cbr0, attachment, &map, None).unwrap();
    }
    damage(&netns, "flush map FAMILY twill_portmap owners");
    map(&mut nftables, 9);
    for (attachment, addresses, mappings, snat) in &containers {
        let map = map_of(addresses, mappings, *snat);
        let missing = nftables.missing_port_map(&cbr0, attachment, &map).unwrap();
        assert_eq!(missing, None, "{snat:?}");
    }
}

#[test]
fn a_probe_changes_nothing() {
    let Some(netns) = namespace() else { return };
    netns.enter(|| firewall::probe_port_maps().unwrap());
    assert_eq!(printed(&netns, "nft list ruleset"), "");
}
