//! Parts of the tables that administrators and other programs remove, and that the next call
//! restores.

use netlink::Mac;

use crate::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// Masquerades one address of each family for a container, and restricts its port to one MAC.
#[track_caller]
fn add(nftables: &mut Nftables, number: u8) {
    let (cbr0, attachment) = (network("cbr0"), attachment(&format!("c{number}"), "eth0"));
    let held = [
        format!("10.244.1.{number}/24"),
        format!("fd00:10::{number}/64"),
    ];
    let held: Vec<_> = held.iter().map(|text| text.parse().unwrap()).collect();
    nftables.masquerade(&cbr0, &attachment, &held).unwrap();
    let port = format!("veth{number}");
    nftables
        .allow_only_mac(&cbr0, &attachment, &port, MAC)
        .unwrap();
}

/// The ruleset, independent of the order in which tables and sets were created.
#[track_caller]
pub(crate) fn state(netns: &NetNs) -> Vec<String> {
    state_of(&whole_ruleset(netns))
}

/// The blocks of a ruleset, sorted, with sorted elements.
pub(crate) fn state_of(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for table in text.split_inclusive("\n}\n") {
        let (name, body) = table.split_once('\n').unwrap();
        for block in body.trim_end_matches("}\n").split("\n\n") {
            let words: Vec<_> = block.split_whitespace().collect();
            // The last block of a table lacks its brace.
            let words = words.join(" ");
            let words = words.strip_suffix(" }").unwrap_or(&words);
            blocks.push(format!("{name} {words}"));
        }
    }
    // The kernel lists elements in no particular order.
    let sorted = |block: String| {
        let Some((head, rest)) = block.split_once("elements = {") else {
            return block;
        };
        let (inside, tail) = rest.split_once('}').unwrap();
        let mut inside: Vec<_> = inside.split(',').map(str::trim).collect();
        inside.sort_unstable();
        format!("{head}{inside:?}{tail}")
    };
    let mut blocks: Vec<_> = blocks.into_iter().map(sorted).collect();
    blocks.sort();
    blocks
}

/// Deletes the first rule of a table's chain that contains these words.
#[track_caller]
fn delete_rule(netns: &NetNs, table: &str, words: &str) {
    let listed = printed(netns, &format!("nft -a list table {table}"));
    let rule = listed.lines().find(|line| line.contains(words)).unwrap();
    let handle = rule.rsplit(' ').next().unwrap();
    let chain = listed
        .lines()
        .find_map(|line| line.trim().strip_prefix("chain "))
        .unwrap();
    let chain = chain.split(' ').next().unwrap();
    nft(
        netns,
        &format!("delete rule {table} {chain} handle {handle}"),
    );
}

/// Damages the tables, and asserts that the ADD of another container repairs them completely.
#[track_caller]
fn the_next_add_repairs(damage: impl Fn(&NetNs)) {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    for number in [1, 2, 3] {
        add(&mut nftables, number);
    }
    let expected = state(&netns);
    let removal = |nftables: &mut Nftables| {
        let c3 = attachment("c3", "eth0");
        nftables.remove(&network("cbr0"), &c3).unwrap();
    };
    removal(&mut nftables);
    damage(&netns);
    add(&mut nftables, 3);
    assert_eq!(state(&netns), expected);
    // Nothing exists twice, and a further ADD changes nothing.
    removal(&mut nftables);
    add(&mut nftables, 3);
    assert_eq!(state(&netns), expected);
}

#[test]
fn flushed_tables() {
    the_next_add_repairs(|netns| {
        nft(netns, "flush table ip twill_masquerade");
        nft(netns, "flush table ip6 twill_masquerade");
        nft(netns, "flush table bridge twill_macspoofchk");
    });
}

#[test]
fn flushed_chains() {
    the_next_add_repairs(|netns| {
        nft(netns, "flush chain ip twill_masquerade postrouting");
        nft(netns, "flush chain ip6 twill_masquerade postrouting");
        nft(netns, "flush chain bridge twill_macspoofchk prerouting");
    });
}

#[test]
fn single_rules() {
    for (table, words) in [
        ("ip twill_masquerade", "224.0.0.0"),
        ("ip twill_masquerade", "@from-hosts"),
        ("ip twill_masquerade", "@from-10.244.1.0/24"),
        ("ip6 twill_masquerade", "ff00::/8"),
        ("ip6 twill_masquerade", "@from-hosts"),
        ("ip6 twill_masquerade", "@from-fd00_10__/64"),
        ("bridge twill_macspoofchk", "accept"),
        ("bridge twill_macspoofchk", "@ports"),
    ] {
        the_next_add_repairs(|netns| {
            // The chain's first line has a policy.
            let words = if words == "accept" { "@senders" } else { words };
            delete_rule(netns, table, words);
        });
    }
}

#[test]
fn a_chain_that_was_deleted_or_lost_its_hook() {
    for again in ["", "; add chain ip twill_masquerade postrouting"] {
        the_next_add_repairs(|netns| {
            nft(netns, "flush chain ip twill_masquerade postrouting");
            nft(
                netns,
                &format!("delete chain ip twill_masquerade postrouting{again}"),
            );
            nft(netns, "flush chain bridge twill_macspoofchk prerouting");
            nft(netns, "delete chain bridge twill_macspoofchk prerouting");
        });
    }
}

#[test]
fn sets_that_were_deleted_with_their_rules() {
    the_next_add_repairs(|netns| {
        nft(netns, "flush chain ip twill_masquerade postrouting");
        nft(
            netns,
            "delete set ip twill_masquerade from-10.244.1.0/24; \
            delete set ip twill_masquerade from-hosts",
        );
        nft(netns, "flush chain bridge twill_macspoofchk prerouting");
        nft(
            netns,
            "delete set bridge twill_macspoofchk ports; \
            delete set bridge twill_macspoofchk senders",
        );
    });
}

// Elements are restored from records, and records from elements.
#[test]
fn elements_that_went_with_the_rules() {
    the_next_add_repairs(|netns| {
        nft(
            netns,
            "flush table ip twill_masquerade; flush set ip twill_masquerade from-10.244.1.0/24",
        );
        nft(
            netns,
            "flush table ip6 twill_masquerade; flush map ip6 twill_masquerade owners",
        );
        nft(
            netns,
            "flush table bridge twill_macspoofchk; flush set bridge twill_macspoofchk ports",
        );
    });
    the_next_add_repairs(|netns| {
        nft(
            netns,
            "flush table bridge twill_macspoofchk; flush map bridge twill_macspoofchk owners",
        );
    });
}

// None of these changes a rule.
#[test]
fn flushed_sets() {
    for flush in [
        "set ip twill_masquerade from-10.244.1.0/24",
        "set ip6 twill_masquerade from-fd00_10__/64",
        "set bridge twill_macspoofchk ports",
        "set bridge twill_macspoofchk senders",
    ] {
        the_next_add_repairs(|netns| nft(netns, &format!("flush {flush}")));
    }
}

// A removal finds elements without a record.
#[test]
fn flushed_maps_before_a_removal() {
    for table in [
        "ip twill_masquerade",
        "ip6 twill_masquerade",
        "bridge twill_macspoofchk",
    ] {
        let Some(netns) = namespace() else { return };
        let mut nftables = nftables(&netns);
        add(&mut nftables, 1);
        add(&mut nftables, 2);
        nftables
            .remove(&network("cbr0"), &attachment("c2", "eth0"))
            .unwrap();
        let one = state(&netns);
        add(&mut nftables, 2);
        nft(&netns, &format!("flush map {table} owners"));
        nftables
            .remove(&network("cbr0"), &attachment("c2", "eth0"))
            .unwrap();
        assert_eq!(state(&netns), one, "{table}");
    }
}

#[test]
fn dormant_tables() {
    the_next_add_repairs(|netns| {
        for table in [
            "ip twill_masquerade",
            "ip6 twill_masquerade",
            "bridge twill_macspoofchk",
        ] {
            nft(netns, &format!("add table {table} {{ flags dormant; }}"));
        }
    });
}

// The chain has all rules, but sees no packets.
#[test]
fn a_chain_with_all_rules_and_no_hook() {
    the_next_add_repairs(|netns| {
        let chain = "ip twill_masquerade postrouting";
        let listed = printed(netns, &format!("nft list chain {chain}"));
        let rules = listed.lines().filter(|line| line.contains("ip "));
        let rules: Vec<_> = rules.filter(|line| !line.contains("table")).collect();
        assert_eq!(rules.len(), 3, "{listed}");
        nft(
            netns,
            &format!("flush chain {chain}; delete chain {chain}; add chain {chain}"),
        );
        for rule in rules {
            nft(netns, &format!("add rule {chain} {}", rule.trim()));
        }
    });
}

// A rule of an administrator looks into a set of ours, and applies to other packets than our rule.
#[test]
fn similar_rules_do_not_count_as_ours() {
    for rule in [
        "oifname \"tun0\" ip saddr @from-10.244.1.0/24 ip daddr != 10.244.1.0/24 masquerade",
        "ip saddr @from-10.244.1.0/24 ip daddr != 10.0.0.0/8 masquerade",
        "ip saddr @from-10.244.1.0/24 ip daddr 10.244.1.0/24 masquerade",
        "ip saddr != @from-10.244.1.0/24 ip daddr != 10.244.1.0/24 masquerade",
        "ip daddr @from-10.244.1.0/24 ip daddr != 10.244.1.0/24 masquerade",
    ] {
        let Some(netns) = namespace() else { return };
        let mut nftables = nftables(&netns);
        add(&mut nftables, 1);
        let chain = "ip twill_masquerade postrouting";
        delete_rule(&netns, "ip twill_masquerade", "@from-10.244.1.0/24");
        nft(&netns, &format!("add rule {chain} {rule}"));
        add(&mut nftables, 2);
        let listed = printed(&netns, &format!("nft list chain {chain}"));
        let own = "ip saddr @from-10.244.1.0/24 ip daddr != 10.244.1.0/24 masquerade";
        assert!(
            listed.lines().any(|line| line.trim() == own),
            "{rule}: {listed}"
        );
        assert!(
            listed.lines().any(|line| line.trim() == rule),
            "{rule}: {listed}"
        );
    }
}

// `nft -f` appends the rules of a saved ruleset to the existing ones.
#[test]
fn rules_that_a_loaded_ruleset_has_duplicated() {
    the_next_add_repairs(|netns| {
        let saved = whole_ruleset(netns);
        for _ in 0..3 {
            nft(netns, &saved);
        }
        let rules = whole_ruleset(netns);
        assert_eq!(
            rules.matches("@from-hosts masquerade").count(),
            8,
            "{rules}"
        );
    });
}

// An old ruleset contains elements of removed containers, and none of later ones.
#[test]
fn an_old_ruleset_that_replaces_the_present_one() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let cbr0 = network("cbr0");
    add(&mut nftables, 1);
    add(&mut nftables, 2);
    let saved = whole_ruleset(&netns);
    nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
    add(&mut nftables, 3);
    nft(&netns, "flush ruleset");
    nft(&netns, &saved);
    // Another container has got the address of a removed one.
    let held = addresses(&["10.244.1.1/24"]);
    nftables
        .masquerade(&cbr0, &attachment("c4", "eth0"), &held)
        .unwrap();
    assert_eq!(
        recorded(&netns, "ip twill_masquerade"),
        ["10.244.1.1", "10.244.1.2"]
    );
    nftables.remove(&cbr0, &attachment("c3", "eth0")).unwrap();
    let all = [("c2", "eth0"), ("c4", "eth0")];
    nftables.gc(&cbr0, &valid(&all)).unwrap();
    assert_eq!(
        recorded(&netns, "ip twill_masquerade"),
        ["10.244.1.1", "10.244.1.2"]
    );
    assert_eq!(recorded(&netns, "ip6 twill_masquerade"), ["fd00:10::2"]);
    nftables.gc(&cbr0, &valid(&[])).unwrap();
    assert_eq!(ruleset(&netns), "");
}

// A repair does not touch rules of others in our chain.
#[test]
fn rules_of_others_stay() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    add(&mut nftables, 1);
    let own = "ip daddr 192.0.2.0/24 return";
    nft(
        &netns,
        &format!("insert rule ip twill_masquerade postrouting {own}"),
    );
    delete_rule(&netns, "ip twill_masquerade", "@from-10.244.1.0/24");
    add(&mut nftables, 2);
    let chain = printed(&netns, "nft list chain ip twill_masquerade postrouting");
    let rules: Vec<_> = chain.lines().map(str::trim).collect();
    assert_eq!(
        &rules[3..7],
        [
            own,
            "ip daddr 224.0.0.0/4 return",
            "ip saddr @from-hosts masquerade",
            "ip saddr @from-10.244.1.0/24 ip daddr != 10.244.1.0/24 masquerade",
        ]
    );
    assert_eq!(rules.len(), 9, "{chain}");
}

#[test]
fn a_table_without_anything_in_it_is_filled() {
    the_next_add_repairs(|netns| {
        nft(netns, "delete table ip twill_masquerade");
        nft(netns, "add table ip twill_masquerade");
        // The other containers of this family are lost with their table and have to be added again.
        let mut nftables = nftables(netns);
        for number in [1, 2] {
            add(&mut nftables, number);
        }
    });
}

// GC repairs without an ADD, and for all networks.
#[test]
fn collection_repairs() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    for number in [1, 2, 3] {
        add(&mut nftables, number);
    }
    let expected = state(&netns);
    assert_eq!(nftables.repair().unwrap(), [""; 0]);
    nft(
        &netns,
        "flush set ip twill_masquerade from-10.244.1.0/24; flush map ip6 twill_masquerade owners",
    );
    delete_rule(&netns, "bridge twill_macspoofchk", "@ports");
    let all = [("c1", "eth0"), ("c2", "eth0"), ("c3", "eth0")];
    nftables.gc(&network("other"), &valid(&all)).unwrap();
    assert_eq!(state(&netns), expected);

    nft(&netns, "flush set ip twill_masquerade from-10.244.1.0/24");
    delete_rule(&netns, "ip6 twill_masquerade", "@from-fd00");
    assert_eq!(
        nftables.repair().unwrap(),
        [
            "add an element to set from-10.244.1.0/24 of table ip twill_masquerade",
            "add an element to set from-10.244.1.0/24 of table ip twill_masquerade",
            "add an element to set from-10.244.1.0/24 of table ip twill_masquerade",
            "add an element to set from-10.244.1.0/24 of table ip twill_masquerade",
            "add a rule to chain postrouting of table ip6 twill_masquerade",
        ]
    );
    assert_eq!(state(&netns), expected);
    nft(&netns, "flush ruleset");
    assert_eq!(nftables.repair().unwrap(), [""; 0]);
    assert_eq!(ruleset(&netns), "");
}

// A lost element is not restored for its former owner once another attachment has the address.
#[test]
fn a_lost_address_belongs_to_its_new_owner() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let cbr0 = network("cbr0");
    add(&mut nftables, 1);
    nft(
        &netns,
        "flush table ip twill_masquerade; flush set ip twill_masquerade from-10.244.1.0/24",
    );
    let held = addresses(&["10.244.1.1/24"]);
    nftables
        .masquerade(&cbr0, &attachment("c2", "eth0"), &held)
        .unwrap();
    nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
    let from = "ip twill_masquerade from-10.244.1.0/24";
    assert_eq!(elements(&netns, from), ["10.244.1.1"]);
    nftables.remove(&cbr0, &attachment("c2", "eth0")).unwrap();
    assert_eq!(elements(&netns, from), [""; 0]);
}

// GC after the last DEL removes the tables, but no table that contains anything of others.
#[test]
fn collection_removes_empty_tables() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    let cbr0 = network("cbr0");
    add(&mut nftables, 1);
    add(&mut nftables, 2);
    nftables.remove(&cbr0, &attachment("c1", "eth0")).unwrap();
    let one = state(&netns);
    nftables.gc(&cbr0, &valid(&[("c2", "eth0")])).unwrap();
    assert_eq!(state(&netns), one);
    nftables.gc(&cbr0, &valid(&[])).unwrap();
    assert_eq!(ruleset(&netns), "");

    for others in [
        "add set ip twill_masquerade mine { type ipv4_addr; }",
        "add rule ip twill_masquerade postrouting counter",
        "add chain ip twill_masquerade mine",
    ] {
        add(&mut nftables, 1);
        nft(&netns, others);
        nftables.gc(&cbr0, &valid(&[])).unwrap();
        let left = ruleset(&netns);
        assert!(
            left.starts_with("table ip twill_masquerade {"),
            "{others}: {left}"
        );
        assert_eq!(left.matches("table ").count(), 1, "{others}: {left}");
        nft(&netns, "flush ruleset");
    }
}
