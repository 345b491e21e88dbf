//! Rules of the packet filter that an operator has removed, and rules of another backend or of the
//! Go plugin.

use std::process::Command;

use serde_json::{Value, json};
use testkit::NetNs;

use crate::support::conf::{dual_stack, ipv4, with};
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, NODE, NODE6, OUTSIDE, OUTSIDE6};
use crate::support::side::{both, ours};
use crate::support::traffic::{assert_reaches, listen_in, pings, seen_from};

both!(check_of_a_healthy_pod);

ours!(
    the_next_add_masquerades_for_all,
    the_next_add_protects_all,
    check_detects_missing_rules_and_elements,
    check_accepts_rules_of_iptables,
    check_of_the_go_plugins_pods,
    del_removes_rules_of_another_backend,
    del_removes_rules_of_the_other_iptables,
    del_removes_rules_after_ip_masq_was_switched_off,
    macspoofchk_with_iptables,
    two_attachments_with_iptables,
    gc_removes_rules_of_another_backend,
    del_removes_the_go_plugins_rules_of_nftables,
    gc_removes_the_go_plugins_rules_of_nftables,
);

const OTHER: &str = "02:00:00:00:0e:01";

fn conf() -> Value {
    dual_stack(json!({ "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true }))
}

/// The output of a command on the node.
#[track_caller]
fn on(lab: &Lab, command: &str) -> String {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap());
    program.args(words);
    let output = lab.node.enter(|| program.output()).unwrap();
    assert!(output.status.success(), "`{command}`: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn nft(lab: &Lab, script: &str) {
    let output = lab.node.enter(|| Command::new("nft").arg(script).output());
    let output = output.unwrap();
    assert!(output.status.success(), "`nft {script}`: {output:?}");
}

#[track_caller]
fn assert_masqueraded(outside: &NetNs, container: &Container) {
    assert_reaches(container, OUTSIDE);
    let seen = |at| seen_from(listen_in(outside), at, &container.sandbox);
    assert_eq!(seen(OUTSIDE), NODE);
    assert_eq!(seen(OUTSIDE6), NODE6);
}

fn gc(lab: &Lab, conf: &Value, valid: &[&str]) {
    let valid: Vec<_> = valid
        .iter()
        .map(|id| json!({ "containerID": id, "ifname": "eth0" }))
        .collect();
    let keys = json!({ "cniVersion": "1.1.0", "cni.dev/valid-attachments": valid });
    lab.node
        .run(&lab.call_alone("GC", &with(conf.clone(), keys)))
        .silent();
}

fn the_next_add_masquerades_for_all(lab: &Lab) {
    let outside = outside::connect(lab);
    for (number, damage) in [
        "flush table ip twill_masquerade; flush table ip6 twill_masquerade",
        "flush chain ip twill_masquerade postrouting; flush chain ip6 twill_masquerade postrouting",
        "flush chain ip twill_masquerade postrouting; delete chain ip twill_masquerade postrouting",
        "flush set ip twill_masquerade from-10.1.1.0/24; flush set ip6 twill_masquerade \
            from-fd00_1__/64",
        "add table ip twill_masquerade { flags dormant; }",
    ]
    .into_iter()
    .enumerate()
    {
        let (a, b) = (Container::new("a"), Container::new("b"));
        lab.add(&a, &conf());
        assert_masqueraded(&outside, &a);
        nft(lab, damage);
        // A connection that is new, as the kernel remembers the old ones.
        assert!(!pings(&a, &[OUTSIDE]), "{number}");
        lab.add(&b, &conf());
        assert_masqueraded(&outside, &b);
        assert_masqueraded(&outside, &a);
        lab.del(&a, &conf());
        lab.del(&b, &conf());
    }
    // The record of the containers is lost; only the next container's elements are created.
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    nft(lab, "flush ruleset");
    lab.add(&b, &conf());
    assert_masqueraded(&outside, &b);
}

fn the_next_add_protects_all(lab: &Lab) {
    for damage in [
        "flush table bridge twill_macspoofchk",
        "flush set bridge twill_macspoofchk ports",
        // Frames with the container's own MAC are dropped too.
        "flush set bridge twill_macspoofchk senders",
    ] {
        let (a, b) = (Container::new("a"), Container::new("b"));
        lab.add(&a, &conf());
        nft(lab, damage);
        lab.add(&b, &conf());
        for container in [&a, &b] {
            assert_reaches(container, "10.1.1.1");
            let own = container.link("eth0").mac().to_owned();
            container.ip(&format!("link set eth0 address {OTHER}"));
            assert!(!pings(container, &["10.1.1.1"]), "{damage}");
            container.ip(&format!("link set eth0 address {own}"));
        }
        lab.del(&a, &conf());
        lab.del(&b, &conf());
    }
}

/// Without routes, which Debian's plugin compares differently.
fn check_of_a_healthy_pod(lab: &Lab) {
    let conf = dual_stack(json!({ "isGateway": true, "ipMasq": true, "macspoofchk": true }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    let of_a = lab.add(&a, &conf);
    let of_b = lab.add(&b, &conf);
    lab.check(&a, &conf, &of_a).silent();
    lab.check(&b, &conf, &of_b).silent();
    lab.del(&b, &conf);
    lab.check(&a, &conf, &of_a).silent();
    let without = dual_stack(json!({ "isGateway": true }));
    let of_b = lab.add(&b, &without);
    lab.check(&b, &without, &of_b).silent();
}

fn check_detects_missing_rules_and_elements(lab: &Lab) {
    for (damage, message) in [
        (
            "flush table ip twill_masquerade",
            "address 10.1.1.2/24 is not masqueraded: table ip twill_masquerade has not all of its \
                rules",
        ),
        (
            "delete table ip6 twill_masquerade",
            "address fd00:1::2/64 is not masqueraded: table ip6 twill_masquerade has no element \
                for it",
        ),
        (
            "flush set ip twill_masquerade from-10.1.1.0/24",
            "address 10.1.1.2/24 is not masqueraded: table ip twill_masquerade has no element for \
                it",
        ),
        (
            "flush table bridge twill_macspoofchk",
            "PORT is not held to MAC: table bridge twill_macspoofchk has not all of its rules",
        ),
        (
            "delete table bridge twill_macspoofchk",
            "PORT is not held to MAC: table bridge twill_macspoofchk has no element for it",
        ),
    ] {
        let a = Container::new("a");
        // The same addresses each time.
        let last = "/var/lib/cni/networks/net";
        lab.node.enter(|| std::fs::remove_dir_all(last)).ok();
        let result = lab.add(&a, &conf());
        lab.check(&a, &conf(), &result).silent();
        nft(lab, damage);
        let failure = lab.check(&a, &conf(), &result).failure();
        let port = result["interfaces"][1]["name"].as_str().unwrap();
        let mac = result["interfaces"][2]["mac"].as_str().unwrap();
        let message = message
            .replace("PORT", &format!("port {port}"))
            .replace("MAC", mac);
        assert_eq!((failure.code, failure.msg), (120, message));
        lab.del(&a, &conf());
    }

    let a = Container::new("a");
    let result = lab.add(&a, &conf());
    for (path, name) in [
        (
            "/proc/sys/net/ipv4/ip_forward",
            "net.ipv4.conf.cni0.forwarding",
        ),
        (
            "/proc/sys/net/ipv6/conf/all/forwarding",
            "net.ipv6.conf.all.forwarding",
        ),
    ] {
        lab.check(&a, &conf(), &result).silent();
        lab.node.write(path, "0");
        let failure = lab.check(&a, &conf(), &result).failure();
        assert_eq!(failure.code, 120);
        assert_eq!(
            failure.msg,
            format!(
                "{name} is 0: the node does not pass on what the container sends to other \
                    networks; set it to 1"
            )
        );
        lab.node.write(path, "1");
    }
}

fn check_accepts_rules_of_iptables(lab: &Lab) {
    let keys = json!({ "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" });
    let conf = dual_stack(keys);
    let a = Container::new("a");
    let result = lab.add(&a, &conf);
    lab.check(&a, &conf, &result).silent();
    // The configuration has changed; the pod is masqueraded as before.
    let nftables = with(conf.clone(), json!({ "ipMasqBackend": "nftables" }));
    lab.check(&a, &nftables, &result).silent();
    on(lab, "ip6tables -t nat -F POSTROUTING");
    for conf in [&conf, &nftables] {
        let failure = lab.check(&a, conf, &result).failure();
        assert_eq!(failure.code, 120);
        let chain = on(lab, "iptables -t nat -S");
        let chain = chain
            .lines()
            .find_map(|line| line.strip_prefix("-N "))
            .unwrap();
        assert_eq!(
            failure.msg,
            format!(
                "address fd00:1::2/64 is not masqueraded: chain {chain} of iptables has not all \
                    of its rules"
            )
        );
    }
}

/// Debian's plugin, which uses iptables for the one and `nft` for the other.
fn check_of_the_go_plugins_pods(lab: &Lab) {
    let Some(bridge) = testkit::requirements::require_reference("bridge") else {
        return;
    };
    let a = Container::new("a");
    let add = testkit::Invocation::new(&bridge, "ADD")
        .container("a")
        .ifname("eth0")
        .netns(a.sandbox.path())
        .path("/usr/lib/cni")
        .stdin(conf().to_string());
    let outcome = lab.node.enter(|| add.run());
    let result: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    lab.check(&a, &conf(), &result).silent();
    on(lab, "iptables -t nat -F POSTROUTING");
    let failure = lab.check(&a, &conf(), &result).failure();
    assert_eq!(failure.code, 120);
    lab.del(&a, &conf());
    let rules = lab.ruleset();
    assert!(
        !rules.contains("cni-br-iface") && !rules.contains("CNI-"),
        "{rules}"
    );
}

fn del_removes_rules_of_another_backend(lab: &Lab) {
    let made =
        ipv4(json!({ "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" }));
    let a = Container::new("a");
    lab.add(&a, &made);
    assert!(lab.ruleset().contains("CNI-"));
    lab.del(&a, &with(made, json!({ "ipMasqBackend": "nftables" })));
    assert!(!lab.ruleset().contains("CNI-"), "{}", lab.ruleset());
}

/// The program `iptables` works on the kernel's older tables or on nftables, as the distribution
/// has it: its `update-alternatives` may have been called between ADD and DEL.
fn del_removes_rules_of_the_other_iptables(lab: &Lab) {
    if Command::new("iptables-legacy").arg("-V").output().is_err() {
        testkit::requirements::skip("needs the program iptables-legacy (Debian package iptables)");
        return;
    }
    let conf =
        ipv4(json!({ "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" }));
    let kinds = ["legacy", "nft"].map(|kind| {
        let programs = tempfile::tempdir().unwrap();
        for family in ["iptables", "ip6tables"] {
            for rest in ["", "-restore"] {
                let program = format!("/usr/sbin/{family}-{kind}{rest}");
                let name = programs.path().join(format!("{family}{rest}"));
                std::os::unix::fs::symlink(program, name).unwrap();
            }
        }
        (kind, programs)
    });
    let call = |command: &str, container: &Container, conf: &Value, kind: usize| {
        let programs = kinds[kind].1.path().display();
        let path = format!("{programs}:/usr/sbin:/usr/bin:/sbin:/bin");
        lab.node
            .run(&lab.call(command, container, conf).env("PATH", path))
    };
    for (made, now) in [(0, 1), (1, 0)] {
        let rules = || on(lab, &format!("iptables-{} -t nat -S", kinds[made].0));
        let (a, b) = (Container::new("a"), Container::new("b"));
        let result = call("ADD", &a, &conf, made).success();
        call("ADD", &b, &conf, made).success();
        assert_eq!(rules().matches("-N CNI-").count(), 2);
        let check = with(conf.clone(), json!({ "prevResult": result }));
        call("CHECK", &a, &check, now).silent();
        call("DEL", &a, &conf, now).silent();
        assert_eq!(rules().matches("-N CNI-").count(), 1, "{}", rules());
        let keys = json!({ "cniVersion": "1.1.0", "cni.dev/valid-attachments": [] });
        call("GC", &b, &with(conf.clone(), keys), now).silent();
        assert!(!rules().contains("CNI-"), "{}", rules());
        call("DEL", &b, &conf, now).silent();
    }
}

fn del_removes_rules_after_ip_masq_was_switched_off(lab: &Lab) {
    let made =
        ipv4(json!({ "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" }));
    for keys in [
        json!({ "ipMasq": false }),
        json!({ "ipMasq": "no", "ipMasqBackend": 7 }),
    ] {
        let a = Container::new("a");
        lab.add(&a, &made);
        lab.del(&a, &with(made.clone(), keys));
        assert!(!lab.ruleset().contains("CNI-"), "{}", lab.ruleset());
    }
}

/// Two interfaces of a container in one network share a chain of iptables.
fn two_attachments_with_iptables(lab: &Lab) {
    let conf = ipv4(json!({ "isGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" }));
    let a = Container::new("a");
    lab.add(&a, &conf);
    let second = |command: &str, conf: &Value| lab.call(command, &a, conf).ifname("eth1");
    let result = lab.node.run(&second("ADD", &conf)).success();
    let of_second = with(conf.clone(), json!({ "prevResult": result }));
    lab.node.run(&second("DEL", &of_second)).silent();
    let rules = lab.ruleset();
    assert!(
        rules.contains("10.1.1.2") && !rules.contains("10.1.1.3"),
        "{rules}"
    );
    // A repeated ADD that fails does not change the chain either.
    lab.node
        .run(&second(
            "ADD",
            &with(
                conf.clone(),
                json!({ "ipam": { "ranges": [[{
        "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.2", "rangeEnd": "10.1.1.2" }]] } }),
            ),
        ))
        .failure();
    assert_eq!(lab.ruleset(), rules);
    lab.del(&a, &conf);
    assert!(!lab.ruleset().contains("CNI-"), "{}", lab.ruleset());
}

/// The rules against spoofed MACs are in nftables with every backend.
fn macspoofchk_with_iptables(lab: &Lab) {
    let conf = with(conf(), json!({ "ipMasqBackend": "iptables" }));
    let a = Container::new("a");
    let result = lab.add(&a, &conf);
    lab.check(&a, &conf, &result).silent();
    lab.del(&a, &conf);
    let rules = lab.ruleset();
    assert!(!rules.contains("CNI-"), "{rules}");
}

fn gc_removes_rules_of_another_backend(lab: &Lab) {
    let made =
        ipv4(json!({ "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &made);
    lab.add(&b, &made);
    let now = with(made, json!({ "ipMasqBackend": "nftables" }));
    gc(lab, &now, &["b"]);
    let rules = lab.ruleset();
    assert!(
        !rules.contains("10.1.1.2") && rules.contains("10.1.1.3"),
        "{rules}"
    );
    gc(lab, &with(now, json!({ "ipMasq": false })), &[]);
    assert!(!lab.ruleset().contains("CNI-"), "{}", lab.ruleset());
}

/// The rules that `bridge` of containernetworking/plugins 1.9 creates for container `id` with
/// `ipMasqBackend` `nftables` in network `net`; `token` is its digest of `eth0:<id>`.
fn as_by_go(lab: &Lab, id: &str, token: &str, address: &str, port: &str) {
    nft(
        lab,
        &format!(
            r#"table inet cni_plugins_masquerade {{ chain masq_checks {{ }}; chain postrouting {{ type nat hook postrouting priority 100; }}; }}
            flush chain inet cni_plugins_masquerade postrouting
            add rule inet cni_plugins_masquerade postrouting ip daddr == 224.0.0.0/4  return
            add rule inet cni_plugins_masquerade postrouting goto masq_checks
            add rule inet cni_plugins_masquerade masq_checks ip saddr == {address} ip daddr != 10.1.1.0/24 masquerade comment "{NET}-{token}, net: net, if: eth0, id: {id}"
            add table bridge nat
            add chain bridge nat PREROUTING {{ type filter hook prerouting priority -300; }}
            add chain bridge nat cni-br-iface-{id}-eth0
            add chain bridge nat cni-br-iface-{id}-eth0-mac
            add rule bridge nat PREROUTING iifname "{port}" jump cni-br-iface-{id}-eth0 comment "macspoofchk-{id}-eth0"
            add rule bridge nat cni-br-iface-{id}-eth0 jump cni-br-iface-{id}-eth0-mac comment "macspoofchk-{id}-eth0"
            add rule bridge nat cni-br-iface-{id}-eth0-mac ether saddr 02:00:00:00:00:0a return comment "macspoofchk-{id}-eth0"
            add rule bridge nat cni-br-iface-{id}-eth0-mac drop comment "macspoofchk-{id}-eth0""#
        ),
    );
}

// The first 16 digits of the SHA-512 of `net`, `eth0:a` and `eth0:b`.
const NET: &str = "a4861f4ae9f7d238";
const A: &str = "a193fd394fc69048";
const B: &str = "705ab526e1b0362f";

fn del_removes_the_go_plugins_rules_of_nftables(lab: &Lab) {
    as_by_go(lab, "a", A, "10.1.1.2", "veth0a");
    as_by_go(lab, "b", B, "10.1.1.3", "veth0b");
    let (a, b) = (Container::new("a"), Container::new("b"));
    for keys in [json!({ "ipMasq": true }), json!({})] {
        lab.del(&a, &ipv4(keys));
        let rules = lab.ruleset();
        for gone in ["10.1.1.2", "veth0a", "cni-br-iface-a-"] {
            assert!(!rules.contains(gone), "{gone}: {rules}");
        }
        for left in ["10.1.1.3", "veth0b", "cni-br-iface-b-eth0-mac {"] {
            assert!(rules.contains(left), "{left}: {rules}");
        }
    }
    lab.del(&b, &ipv4(json!({})));
    let rules = lab.ruleset();
    assert!(
        !rules.contains("macspoofchk-") && !rules.contains("id: b"),
        "{rules}"
    );
}

fn gc_removes_the_go_plugins_rules_of_nftables(lab: &Lab) {
    as_by_go(lab, "a", A, "10.1.1.2", "veth0a");
    as_by_go(lab, "b", B, "10.1.1.3", "veth0b");
    let before = lab.ruleset();
    gc(lab, &ipv4(json!({ "name": "other" })), &["a", "b"]);
    assert_eq!(lab.ruleset(), before);
    // An existing port may belong to another network.
    lab.ip("link add veth0a type veth peer name veth1a");
    gc(lab, &ipv4(json!({})), &["b"]);
    let rules = lab.ruleset();
    assert!(
        !rules.contains("10.1.1.2") && rules.contains("10.1.1.3"),
        "{rules}"
    );
    assert!(
        rules.contains("cni-br-iface-a-") && rules.contains("cni-br-iface-b-"),
        "{rules}"
    );
    lab.ip("link del veth0a");
    gc(lab, &ipv4(json!({})), &["b"]);
    let rules = lab.ruleset();
    assert!(!rules.contains("cni-br-iface-a-"), "{rules}");
    assert!(rules.contains("cni-br-iface-b-eth0-mac {"), "{rules}");
    gc(lab, &ipv4(json!({})), &[]);
    let rules = lab.ruleset();
    assert!(
        !rules.contains("macspoofchk-") && !rules.contains("id: b"),
        "{rules}"
    );
}
