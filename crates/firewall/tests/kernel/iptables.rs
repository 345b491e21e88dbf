//! The rules of the programs of iptables.

use std::process::Command;

use firewall::Iptables;
use testkit::requirements::{require_reference, skip};

use crate::*;

/// The content of an unused table `nat`.
const NOTHING: &str =
    "-P PREROUTING ACCEPT\n-P INPUT ACCEPT\n-P OUTPUT ACCEPT\n-P POSTROUTING ACCEPT\n";

/// Whether the programs are installed; if not, the test is skipped.
#[track_caller]
pub(crate) fn is_installed() -> bool {
    let is_there = Command::new("iptables").arg("--version").output().is_ok();
    if !is_there {
        skip("needs the program iptables (Debian package iptables)");
    }
    is_there
}

fn nat(netns: &NetNs, program: &str) -> String {
    printed(netns, &format!("{program} -w -t nat -S"))
}

#[test]
fn rules_are_those_of_the_go_plugin() {
    let Some(netns) = namespace() else { return };
    if !is_installed() {
        return;
    }
    let (test, c1) = (network("test"), attachment("1234", "eth0"));
    let held = addresses(&["10.244.1.5/24", "fd00:10::5/64"]);
    let masquerade = |ifname: &str, held: &[IpNetwork]| {
        let attachment = attachment("1234", ifname);
        netns.enter(|| Iptables.masquerade(&test, &attachment, held).unwrap());
    };
    let comment = r#"-m comment --comment "name: \"test\" id: \"1234\"""#;
    let chain = "CNI-2bbe0c48b91a7d1b8a6753a8";
    for _ in 0..2 {
        masquerade("eth0", &held);
        assert_eq!(
            nat(&netns, "iptables"),
            format!(
                "{NOTHING}-N {chain}\n\
                -A POSTROUTING -s 10.244.1.5/32 {comment} -j {chain}\n\
                -A {chain} -d 10.244.1.0/24 {comment} -j ACCEPT\n\
                -A {chain} ! -d 224.0.0.0/4 {comment} -j MASQUERADE\n"
            )
        );
        assert_eq!(
            nat(&netns, "ip6tables"),
            format!(
                "{NOTHING}-N {chain}\n\
                -A POSTROUTING -s fd00:10::5/128 {comment} -j {chain}\n\
                -A {chain} -d fd00:10::/64 {comment} -j ACCEPT\n\
                -A {chain} ! -d ff00::/8 {comment} -j MASQUERADE\n"
            )
        );
    }
    // Another interface of the container in the same network.
    masquerade("eth1", &addresses(&["10.244.2.5/24"]));
    assert_eq!(
        nat(&netns, "iptables"),
        format!(
            "{NOTHING}-N {chain}\n\
            -A POSTROUTING -s 10.244.1.5/32 {comment} -j {chain}\n\
            -A POSTROUTING -s 10.244.2.5/32 {comment} -j {chain}\n\
            -A {chain} -d 10.244.1.0/24 {comment} -j ACCEPT\n\
            -A {chain} -d 10.244.2.0/24 {comment} -j ACCEPT\n\
            -A {chain} ! -d 224.0.0.0/4 {comment} -j MASQUERADE\n"
        )
    );
    // One interface is removed, the other one stays.
    let both = nat(&netns, "iptables");
    let (eth1, of_eth1) = (attachment("1234", "eth1"), addresses(&["10.244.2.5/24"]));
    netns.enter(|| Iptables.remove(&test, &eth1, Some(&of_eth1)).unwrap());
    let left = nat(&netns, "iptables");
    assert_eq!(
        left,
        both.replace(
            &format!("-A POSTROUTING -s 10.244.2.5/32 {comment} -j {chain}\n"),
            ""
        )
    );
    assert!(nat(&netns, "ip6tables").contains("fd00:10::5"));
    netns.enter(|| Iptables.remove(&test, &eth1, Some(&[])).unwrap());
    assert_eq!(nat(&netns, "iptables"), left);
    masquerade("eth1", &of_eth1);
    netns.enter(|| Iptables.remove(&test, &c1, Some(&held)).unwrap());
    assert_eq!(nat(&netns, "ip6tables"), NOTHING);
    assert!(!nat(&netns, "iptables").contains("10.244.1.5"));
    netns.enter(|| Iptables.remove(&test, &eth1, Some(&of_eth1)).unwrap());
    assert_eq!(nat(&netns, "iptables"), NOTHING);
    masquerade("eth0", &held);
    masquerade("eth1", &of_eth1);
    for _ in 0..2 {
        netns.enter(|| Iptables.remove(&test, &c1, None).unwrap());
        assert_eq!(nat(&netns, "iptables"), NOTHING);
        assert_eq!(nat(&netns, "ip6tables"), NOTHING);
    }
    // A killed ADD may leave an empty chain.
    printed(&netns, &format!("iptables -t nat -N {chain}"));
    netns.enter(|| Iptables.remove(&test, &c1, None).unwrap());
    assert_eq!(nat(&netns, "iptables"), NOTHING);
}

#[test]
fn only_stale_containers_of_the_network_are_collected() {
    let Some(netns) = namespace() else { return };
    if !is_installed() {
        return;
    }
    let (cbr0, cbr1) = (network("cbr0"), network("cbr1"));
    let held = addresses(&["10.244.1.5/24"]);
    netns.enter(|| {
        for (network, id) in [(&cbr0, "kept"), (&cbr0, "stale"), (&cbr1, "stale")] {
            Iptables
                .masquerade(network, &attachment(id, "eth0"), &held)
                .unwrap();
        }
    });
    printed(
        &netns,
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE",
    );
    let before = nat(&netns, "iptables");
    let jumps = |rules: &str| -> Vec<String> {
        let to_chains = rules
            .lines()
            .filter(|line| line.starts_with("-A POSTROUTING"));
        to_chains.map(str::to_owned).collect()
    };
    assert_eq!(jumps(&before).len(), 4);
    netns.enter(|| {
        Iptables.gc(&cbr0, &valid(&[("kept", "eth0")])).unwrap();
    });
    let after = nat(&netns, "iptables");
    let expected: Vec<_> = jumps(&before)
        .into_iter()
        .filter(|rule| !rule.contains(r#"\"cbr0\" id: \"stale\""#))
        .collect();
    assert_eq!(jumps(&after), expected);
    assert_eq!(expected.len(), 3);
    assert_eq!(after.matches("-N CNI-").count(), 2);
}

#[test]
fn rules_of_the_go_plugin_are_removed() {
    let Some(node) = namespace() else { return };
    let Some(bridge) = require_reference("bridge") else {
        return;
    };
    if !is_installed() || require_reference("static").is_none() {
        return;
    }
    let container = NetNs::new().unwrap();
    let conf = r#"{"cniVersion":"1.0.0","name":"cbr0","type":"bridge","bridge":"cni0",
        "isGateway":true,"ipMasq":true,
        "ipam":{"type":"static",
            "addresses":[{"address":"10.244.1.5/24"},{"address":"fd00:10::5/64"}]}}"#;
    let invocation = testkit::Invocation::new(&bridge, "ADD")
        .container("c1")
        .ifname("eth0")
        .netns(container.path())
        .path("/usr/lib/cni")
        .stdin(conf);
    let outcome = node.enter(|| invocation.run());
    assert_eq!(outcome.code, Some(0), "{outcome}");
    for program in ["iptables", "ip6tables"] {
        assert!(nat(&node, program).contains("-N CNI-"), "{program}");
    }
    // An ADD by this backend would create the same rules, in another order.
    let before = nat(&node, "iptables");
    let held = addresses(&["10.244.1.5/24", "fd00:10::5/64"]);
    let c1 = attachment("c1", "eth0");
    node.enter(|| Iptables.masquerade(&network("cbr0"), &c1, &held).unwrap());
    assert_eq!(nat(&node, "iptables"), before);

    node.enter(|| Iptables.remove(&network("cbr0"), &c1, None).unwrap());
    for program in ["iptables", "ip6tables"] {
        assert_eq!(nat(&node, program), NOTHING, "{program}");
    }
}
