//! The ruleset that operations leave.

use netlink::Mac;

use crate::*;

const EXPECTED: &str = include_str!("expected.nft");
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SETS: [&str; 6] = [
    "ip twill_masquerade owners",
    "ip twill_masquerade from-10.244.1.0/24",
    "ip6 twill_masquerade owners",
    "ip6 twill_masquerade from-fd00_10__/64",
    "bridge twill_macspoofchk owners",
    "bridge twill_macspoofchk senders",
];

/// The ruleset after the last removal: the expected one without its elements.
fn without_elements() -> String {
    let lines = EXPECTED.lines().filter(|line| !line.contains("elements"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Adds the rules of [`EXPECTED`] for an attachment.
fn add(nftables: &mut Nftables, container_id: &str, port: &str, last: u8) {
    let (cbr0, attachment) = (network("cbr0"), attachment(container_id, "eth0"));
    let held = [format!("10.244.1.{last}/24"), format!("fd00:10::{last}/64")];
    let held: Vec<_> = held.iter().map(|text| text.parse().unwrap()).collect();
    nftables.masquerade(&cbr0, &attachment, &held).unwrap();
    nftables
        .allow_only_mac(&cbr0, &attachment, port, MAC)
        .unwrap();
}

#[test]
fn an_attachments_elements_come_and_go() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    add(&mut nftables, "c1", "veth1", 5);
    assert_eq!(ruleset(&netns), EXPECTED);
    add(&mut nftables, "c1", "veth1", 5);
    assert_eq!(ruleset(&netns), EXPECTED, "once more");
    let saved = whole_ruleset(&netns);
    assert_eq!(saved.matches(WITNESS).count(), 9, "{saved}");

    add(&mut nftables, "c2", "veth2", 6);
    for set in SETS {
        assert_eq!(elements(&netns, set).len(), 2, "{set}");
    }
    let cbr0 = network("cbr0");
    for (other_network, other) in [
        (network("cbr1"), attachment("c2", "eth0")),
        (cbr0.clone(), attachment("c2", "eth1")),
        (cbr0.clone(), attachment("c3", "eth0")),
    ] {
        nftables.remove(&other_network, &other).unwrap();
    }
    for set in SETS {
        assert_eq!(elements(&netns, set).len(), 2, "{set}");
    }
    for _ in 0..2 {
        nftables.remove(&cbr0, &attachment("c2", "eth0")).unwrap();
        assert_eq!(ruleset(&netns), EXPECTED);
    }

    // A ruleset that `nft` has saved and restored is complete.
    nft(&netns, "flush ruleset");
    nft(&netns, &saved);
    assert_eq!(whole_ruleset(&netns), saved);
    nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
    assert_eq!(ruleset(&netns), without_elements());
    add(&mut nftables, "c1", "veth1", 5);
    assert_eq!(ruleset(&netns), EXPECTED);
}

#[test]
fn removing_nothing_creates_nothing() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let cbr0 = network("cbr0");
    nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
    nftables.gc(&cbr0, &valid(&[])).unwrap();
    nftables
        .masquerade(&cbr0, &attachment("c1", "eth0"), &[])
        .unwrap();
    assert_eq!(ruleset(&netns), "");
}

#[test]
fn other_tables_stay_as_they_are() {
    let Some(netns) = namespace() else { return };
    let others = "table ip nat {
            chain POSTROUTING { type nat hook postrouting priority srcnat; counter masquerade; };
        }
        table inet cni_plugins_masquerade {
            set from-10.244.1.0/24 { type ipv4_addr; elements = { 10.244.1.5 }; };
        }
        table inet twill_masquerade {
            map owners { type ipv4_addr : ipv4_addr; elements = { 10.244.1.5 : 10.244.1.6 }; };
        }
        table bridge filter {
            chain forward { type filter hook forward priority 0; ether type arp accept; };
        }";
    nft(&netns, others);
    let before = ruleset(&netns);
    let mut nftables = nftables(&netns);
    add(&mut nftables, "c1", "veth1", 5);
    assert_eq!(ruleset(&netns), format!("{before}{EXPECTED}"));
    nftables
        .remove(&network("cbr0"), &attachment("c1", "eth0"))
        .unwrap();
    add(&mut nftables, "c2", "veth1", 5);
    assert!(ruleset(&netns).starts_with(&before));
    nftables.gc(&network("cbr0"), &valid(&[])).unwrap();
    assert_eq!(ruleset(&netns), before);
}

#[test]
fn a_repeated_add_replaces_the_former_elements() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    let many = [
        "10.244.1.5/24",
        "10.244.1.6/24",
        "10.244.1.7/24",
        "10.9.0.1/32",
        "10.8.0.1/16",
        "10.7.0.1/0",
        "fd00:10::5/64",
    ];
    nftables.masquerade(&cbr0, &c1, &addresses(&many)).unwrap();
    let ip = "ip twill_masquerade";
    assert_eq!(
        recorded(&netns, ip),
        [
            "10.244.1.5",
            "10.244.1.6",
            "10.244.1.7",
            "10.8.0.1",
            "10.9.0.1"
        ]
    );
    assert_eq!(
        elements(&netns, "ip twill_masquerade from-10.8.0.0/16"),
        ["10.8.0.1"]
    );
    assert_eq!(
        elements(&netns, "ip twill_masquerade from-hosts"),
        ["10.9.0.1"]
    );

    nftables
        .masquerade(&cbr0, &c1, &addresses(&["10.244.1.6/24", "10.244.1.6/24"]))
        .unwrap();
    assert_eq!(recorded(&netns, ip), ["10.244.1.6"]);
    assert_eq!(
        elements(&netns, "ip twill_masquerade from-10.244.1.0/24"),
        ["10.244.1.6"]
    );
    assert_eq!(
        elements(&netns, "ip twill_masquerade from-10.8.0.0/16"),
        [""; 0]
    );
    assert_eq!(elements(&netns, "ip twill_masquerade from-hosts"), [""; 0]);
    assert_eq!(
        elements(&netns, "ip6 twill_masquerade from-fd00_10__/64"),
        [""; 0]
    );
    assert_eq!(recorded(&netns, "ip6 twill_masquerade"), [""; 0]);

    nftables.masquerade(&cbr0, &c1, &addresses(&many)).unwrap();
    nftables.remove(&cbr0, &c1).unwrap();
    assert_eq!(recorded(&netns, ip), [""; 0]);
    for set in ["from-10.244.1.0/24", "from-10.8.0.0/16", "from-hosts"] {
        assert_eq!(elements(&netns, &format!("{ip} {set}")), [""; 0], "{set}");
    }

    nftables.allow_only_mac(&cbr0, &c1, "veth1", MAC).unwrap();
    nftables
        .allow_only_mac(&cbr0, &c1, "veth2", Mac([2; 6]))
        .unwrap();
    assert_eq!(
        elements(&netns, "bridge twill_macspoofchk ports"),
        ["veth2"]
    );
    assert_eq!(
        elements(&netns, "bridge twill_macspoofchk senders"),
        ["veth2 . 02:02:02:02:02:02"]
    );
}

// An address is released before its rules are removed, and another container gets it.
#[test]
fn an_address_belongs_to_its_last_owner() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let (cbr0, cbr1) = (network("cbr0"), network("cbr1"));
    let (c1, c2) = (attachment("c1", "eth0"), attachment("c2", "eth0"));
    let from = "ip twill_masquerade from-10.244.1.0/24";
    nftables
        .masquerade(&cbr0, &c1, &addresses(&["10.244.1.5/24", "10.244.1.6/24"]))
        .unwrap();
    nftables
        .masquerade(&cbr1, &c2, &addresses(&["10.244.1.5/24"]))
        .unwrap();
    assert_eq!(
        recorded(&netns, "ip twill_masquerade"),
        ["10.244.1.5", "10.244.1.6"]
    );
    nftables.remove(&cbr0, &c1).unwrap();
    assert_eq!(elements(&netns, from), ["10.244.1.5"]);
    nftables.gc(&cbr0, &valid(&[])).unwrap();
    assert_eq!(elements(&netns, from), ["10.244.1.5"]);
    nftables.remove(&cbr1, &c2).unwrap();
    assert_eq!(elements(&netns, from), [""; 0]);

    // A port was removed without a DEL, and the next one has its name.
    nftables.allow_only_mac(&cbr0, &c1, "veth1", MAC).unwrap();
    nftables
        .allow_only_mac(&cbr0, &c2, "veth1", Mac([2; 6]))
        .unwrap();
    let senders = "bridge twill_macspoofchk senders";
    assert_eq!(elements(&netns, senders), ["veth1 . 02:02:02:02:02:02"]);
    nftables.remove(&cbr0, &c1).unwrap();
    assert_eq!(elements(&netns, senders), ["veth1 . 02:02:02:02:02:02"]);
    assert_eq!(
        elements(&netns, "bridge twill_macspoofchk ports"),
        ["veth1"]
    );
}

// No change by an administrator or another program makes a DEL fail.
#[test]
fn changes_by_others_make_no_del_fail() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let cbr0 = network("cbr0");
    for script in [
        "flush ruleset",
        "flush set ip twill_masquerade from-10.244.1.0/24",
        "flush map ip twill_masquerade owners",
        "flush set bridge twill_macspoofchk ports",
        "delete table ip twill_masquerade",
        "delete table bridge twill_macspoofchk",
    ] {
        add(&mut nftables, "c1", "veth1", 5);
        nft(&netns, script);
        nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
        add(&mut nftables, "c1", "veth1", 5);
        // Tables are listed in the order of their creation.
        let sorted = |text: &str| {
            let mut tables: Vec<_> = text.split_inclusive("\n}\n").map(str::to_owned).collect();
            tables.sort();
            tables
        };
        assert_eq!(sorted(&ruleset(&netns)), sorted(EXPECTED), "{script}");
        nft(&netns, script);
        nftables.gc(&cbr0, &valid(&[])).unwrap();
        add(&mut nftables, "c1", "veth1", 5);
        assert_eq!(sorted(&ruleset(&netns)), sorted(EXPECTED), "{script}");
    }
    // Somebody else has added the same element.
    nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
    nft(
        &netns,
        "add element ip twill_masquerade from-10.244.1.0/24 { 10.244.1.5 comment \"mine\" }",
    );
    add(&mut nftables, "c1", "veth1", 5);
    nft(
        &netns,
        "delete element ip twill_masquerade from-10.244.1.0/24 { 10.244.1.5 }",
    );
    nft(
        &netns,
        "add element ip twill_masquerade from-10.244.1.0/24 { 10.244.1.5 comment \"mine\" }",
    );
    nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
}

#[test]
fn only_stale_attachments_of_the_network_are_collected() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let (cbr0, cbr1) = (network("cbr0"), network("cbr1"));
    for number in 1..=150 {
        add(
            &mut nftables,
            &format!("c{number}"),
            &format!("veth{number}"),
            number,
        );
    }
    let other = addresses(&["10.244.1.200/24", "10.244.1.201/24"]);
    nftables
        .masquerade(&cbr1, &attachment("c1", "eth0"), &other)
        .unwrap();
    let kept = [("c7", "eth0"), ("c8", "eth1"), ("c150", "eth0")];
    nftables.gc(&cbr0, &valid(&kept)).unwrap();
    assert_eq!(
        elements(&netns, "ip twill_masquerade from-10.244.1.0/24"),
        ["10.244.1.150", "10.244.1.200", "10.244.1.201", "10.244.1.7"]
    );
    assert_eq!(
        recorded(&netns, "ip6 twill_masquerade"),
        ["fd00:10::150", "fd00:10::7"]
    );
    assert_eq!(
        elements(&netns, "bridge twill_macspoofchk ports"),
        ["veth150", "veth7"]
    );
    assert_eq!(
        elements(&netns, "bridge twill_macspoofchk senders").len(),
        2
    );
    nftables.gc(&cbr1, &valid(&kept)).unwrap();
    assert_eq!(
        recorded(&netns, "ip twill_masquerade"),
        ["10.244.1.150", "10.244.1.7"]
    );
}

#[test]
fn an_attachment_has_at_most_64_addresses_per_family() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    let held: Vec<IpNetwork> = (1..=65)
        .map(|last| format!("10.244.1.{last}/24").parse().unwrap())
        .collect();
    let error = nftables.masquerade(&cbr0, &c1, &held).unwrap_err();
    assert_eq!(
        error.to_string(),
        "65 addresses of one family are too many to masquerade: 64 are possible"
    );
    assert_eq!(ruleset(&netns), "");
    nftables.masquerade(&cbr0, &c1, &held[..64]).unwrap();
    assert_eq!(recorded(&netns, "ip twill_masquerade").len(), 64);
    nftables.remove(&cbr0, &c1).unwrap();
    assert_eq!(recorded(&netns, "ip twill_masquerade"), [""; 0]);
}

// Names of chains made from such ids are longer than the kernel's names can be.
#[test]
fn an_id_of_any_length_can_be_removed_and_collected() {
    let Some(netns) = namespace() else { return };
    let cbr0 = network("cbr0");
    for length in [1, 63, 64, 108, 109, 113, 114, 252, 300, 4000] {
        let long = attachment(&"c".repeat(length), "eth0");
        let held = addresses(&["10.244.1.5/24"]);
        netns.enter(|| {
            firewall::remove(&cbr0, &long, None, true).unwrap();
            let port = firewall::missing_mac_check(&cbr0, &long, "veth1", MAC).unwrap();
            assert!(port.is_some());
            let backend = firewall::Backend::Nftables;
            let missing = firewall::missing_masquerading(backend, &cbr0, &long, &held);
            assert!(missing.unwrap().is_some());
            let mut nftables = Nftables::open().unwrap();
            nftables.masquerade(&cbr0, &long, &held).unwrap();
            firewall::remove(&cbr0, &long, None, true).unwrap();
            firewall::gc(&cbr0, &valid(&[]), true).unwrap();
        });
        assert_eq!(ruleset(&netns), "", "{length}");
    }
}
