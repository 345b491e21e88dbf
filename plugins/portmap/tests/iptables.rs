//! The backend `iptables` makes what the Go plugin makes, so that either side removes it.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use testkit::requirements::REFERENCE_DIR;
use testkit::{Invocation, Side, binaries};

use crate::support::{Lan, NODE, OUTSIDE, Place, Protocol};

/// Mappings of both families.
fn both_families() -> Value {
    json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8080, "containerPort": 81, "protocol": "udp"},
        {"hostPort": 8079, "containerPort": 82, "protocol": "tcp"},
    ])
}

/// Mappings some of which are of IPv4 alone.
fn mappings() -> Value {
    json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8080, "containerPort": 80, "protocol": "udp"},
        {"hostPort": 8081, "containerPort": 80, "protocol": "tcp", "hostIP": NODE[0]},
        {"hostPort": 8082, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0"},
    ])
}

fn program(side: Side) -> PathBuf {
    match side {
        Side::Ours => binaries::plugin("portmap"),
        Side::Reference => Path::new(REFERENCE_DIR).join("portmap"),
    }
}

#[track_caller]
fn run(lan: &Lan, side: Side, command: &str, conf: &Value) {
    let container = &lan.pods[0];
    let call = Invocation::attach(program(side), command, &container.id)
        .netns(container.sandbox.path())
        .paths(lan.plugin_directories())
        .config(conf);
    let outcome = lan.node.run(&call);
    assert_eq!(outcome.code, Some(0), "{outcome}");
}

/// The rules of both families that concern port maps, sorted.
#[track_caller]
fn rules(lan: &Lan) -> Vec<String> {
    let mut found = Vec::new();
    for program in ["iptables-save", "ip6tables-save"] {
        let output = lan
            .node
            .enter(|| Command::new(program).args(["-t", "nat"]).output().unwrap());
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let own = text.lines().filter(|line| line.contains("CNI-"));
        found.extend(own.map(|line| format!("{program}: {line}")));
    }
    found.sort();
    found
}

/// The same in a lab of each side; `None` if one of them is skipped.
fn both(mappings: &Value, keys: &Value) -> Option<[(Lan, Vec<String>); 2]> {
    let make = |side| {
        let lan = Lan::new(side)?;
        let mut conf = lan.conf(0, mappings, keys);
        if side == Side::Ours {
            conf["backend"] = json!("iptables");
        }
        run(&lan, side, "ADD", &conf);
        let rules = rules(&lan);
        Some((lan, rules))
    };
    Some([make(Side::Ours)?, make(Side::Reference)?])
}

/// The rules of IPv4 alone. The Go plugin jumps to a container's chain of IPv6 for ports of IPv4,
/// too.
fn of_ipv4(rules: Vec<String>) -> Vec<String> {
    let is_own = |rule: &String| rule.starts_with("iptables-save");
    rules.into_iter().filter(is_own).collect()
}

#[test]
fn the_rules_are_those_of_the_go_plugin() {
    for keys in [
        json!({}),
        json!({"markMasqBit": 3}),
        json!({"conditionsV4": ["!", "-d", "198.51.100.0/24"], "conditionsV6": ["-s", "fd00::/8"]}),
    ] {
        let Some([(_, ours), (_, theirs)]) = both(&both_families(), &keys) else {
            return;
        };
        let in_order = |rules: Vec<String>| -> Vec<String> {
            let swap = |rule: String| rule.replace("8080,8079", "8079,8080");
            rules.into_iter().map(swap).collect()
        };
        assert_eq!(ours, in_order(theirs), "{keys}");
    }
    let Some([(_, ours), (_, theirs)]) = both(&mappings(), &json!({})) else {
        return;
    };
    assert_eq!(of_ipv4(ours), of_ipv4(theirs));
    // Without `snat`, the Go plugin has chains that nothing needs.
    let Some([(_, ours), (_, theirs)]) = both(&mappings(), &json!({"snat": false})) else {
        return;
    };
    let needed = |rules: Vec<String>| -> Vec<String> {
        let unneeded = ["CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"];
        let is_needed = |rule: &String| !unneeded.iter().any(|chain| rule.contains(chain));
        of_ipv4(rules).into_iter().filter(is_needed).collect()
    };
    assert_eq!(needed(ours), needed(theirs));
}

#[test]
fn either_side_removes_what_the_other_one_made() {
    let Some([(ours, _), (theirs, _)]) = both(&mappings(), &json!({})) else {
        return;
    };
    for (lan, side) in [(ours, Side::Reference), (theirs, Side::Ours)] {
        let conf = lan.conf(0, &mappings(), &json!({}));
        run(&lan, side, "DEL", &conf);
        let left = rules(&lan).join("\n");
        assert!(!left.contains("CNI-DN-"), "{side:?}:\n{left}");
    }
}

#[test]
fn an_add_that_fails_for_one_family_has_no_rules_of_the_other() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let programs = tempfile::tempdir().unwrap();
    symlink("/bin/false", programs.path().join("ip6tables-restore")).unwrap();
    let path = format!(
        "{}:/usr/sbin:/usr/bin:/sbin:/bin",
        programs.path().display()
    );
    let conf = lan.conf(0, &both_families(), &json!({"backend": "iptables"}));
    let add = lan.call("ADD", &lan.pods[0], &conf);
    let fails = || lan.node.run(&add.clone().env("PATH", &path)).failure();
    fails();
    let left = rules(&lan).join("\n");
    assert!(!left.contains("c1"), "{left}");
    run(&lan, Side::Ours, "ADD", &conf);
    let first = rules(&lan);
    fails();
    assert_eq!(rules(&lan), first);
}

/// The first ADDs of a node create the chains that all containers share.
#[test]
fn the_first_adds_at_a_time_keep_the_jumps_of_each_other() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let call = |command: &str, number: usize, conf: &Value| {
        let id = format!("at-once-{number}");
        let call = Invocation::attach(program(Side::Ours), command, &id);
        lan.node.run(
            &call
                .netns(lan.pods[0].sandbox.path())
                .paths(lan.plugin_directories())
                .config(conf),
        )
    };
    let conf = |number: usize| {
        let mapping = json!([{"hostPort": 8000 + number, "containerPort": 80}]);
        lan.conf(0, &mapping, &json!({"backend": "iptables"}))
    };
    let numbers = 0..8;
    thread::scope(|scope| {
        for number in numbers.clone() {
            let (call, conf) = (&call, &conf);
            scope.spawn(move || call("ADD", number, &conf(number)).success());
        }
    });
    for number in numbers.clone() {
        call("CHECK", number, &conf(number)).silent();
    }
    for number in numbers {
        call("DEL", number, &conf(number)).silent();
    }
    let left = rules(&lan).join("\n");
    assert!(!left.contains("CNI-DN-"), "{left}");
}

#[test]
fn a_chain_whose_jumps_others_have_flushed_is_removed() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    for keys in [json!({"backend": "iptables"}), json!({})] {
        let conf = lan.conf(0, &both_families(), &json!({"backend": "iptables"}));
        run(&lan, Side::Ours, "ADD", &conf);
        for program in ["iptables", "ip6tables"] {
            let flush = ["-w", "-t", "nat", "-F", "CNI-HOSTPORT-DNAT"];
            let flushed = lan
                .node
                .enter(|| Command::new(program).args(flush).status());
            assert!(flushed.unwrap().success(), "{program}");
        }
        run(
            &lan,
            Side::Ours,
            "DEL",
            &lan.conf(0, &both_families(), &keys),
        );
        let left = rules(&lan).join("\n");
        assert!(!left.contains("CNI-DN-"), "{keys}:\n{left}");
    }
}

/// The link towards the containers cannot be told to route loopback addresses any more.
#[track_caller]
fn forbid_route_localnet(lan: &Lan) {
    lan.set("ipv4/conf/cni0/route_localnet", "0");
    for args in ["--bind /proc/sys /proc/sys", "-o remount,ro,bind /proc/sys"] {
        let mount = || Command::new("mount").args(args.split(' ')).status();
        assert!(lan.node.enter(mount).unwrap().success(), "mount {args}");
    }
}

#[test]
fn a_failed_add_leaves_what_an_earlier_one_made() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let keys = json!({"backend": "iptables"});
    let conf = |pod| lan.conf(pod, &both_families(), &keys);
    run(&lan, Side::Ours, "ADD", &conf(0));
    let first = rules(&lan);
    // The other container has had the other backend, whose rules stay as well.
    lan.map(1, &mappings());
    let elements = || lan.ruleset().matches("of c2 in cbr0").count();
    let second = elements();
    assert!(second > 0);
    forbid_route_localnet(&lan);
    for pod in [1, 0] {
        let call = lan.call("ADD", &lan.pods[pod], &conf(pod));
        let failure = lan.node.run(&call).failure();
        assert!(failure.msg.contains("route_localnet"), "{}", failure.msg);
        assert_eq!((rules(&lan), elements()), (first.clone(), second));
    }
}

#[test]
fn packets_checks_and_the_way_back_to_nftables() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 80);
    lan.serve(Place::Node, "127.0.0.1", 9999);
    let keys = json!({"backend": "iptables"});
    let conf = lan.conf(0, &mappings(), &keys);
    run(&lan, Side::Ours, "ADD", &conf);
    let first = rules(&lan);
    run(&lan, Side::Ours, "ADD", &conf);
    assert_eq!(rules(&lan), first, "an ADD repeated");
    run(&lan, Side::Ours, "CHECK", &conf);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for family in [0, 1] {
            let answer = lan.ask(Place::Outside, protocol, NODE[family], 8080);
            assert_eq!(answer, format!("c1 sees {}", OUTSIDE[family]));
        }
        let answer = lan.ask(Place::Node, protocol, "127.0.0.1", 8080);
        assert_eq!(answer, "c1 sees 10.244.1.1");
        let answer = lan.ask(Place::Pod(1), protocol, NODE[0], 8080);
        assert_eq!(answer, "c1 sees 10.244.1.1");
    }
    let pod = &lan.pods[1];
    pod.set("ipv4/conf/all/route_localnet", "1");
    pod.ip("addr del 127.0.0.1/8 dev lo");
    pod.ip("route add 127.0.0.0/8 via 10.244.1.1");
    assert!(!lan.is_answered(Place::Pod(1), Protocol::Udp, "127.0.0.1", 9999));

    let flush = ["-t", "nat", "-F", "CNI-HOSTPORT-DNAT"];
    lan.node
        .enter(|| Command::new("iptables").args(flush).status().unwrap());
    let failure = lan
        .node
        .run(&lan.call("CHECK", &lan.pods[0], &conf))
        .failure();
    assert_eq!(failure.code, 120);
    assert_eq!(
        failure.msg,
        "tcp port 8080 does not lead to the container: \
        chain CNI-DN-68f1f1eeb62cad3d0bdd5 of iptables has no jump to it"
    );
    run(&lan, Side::Ours, "ADD", &conf);
    assert_eq!(rules(&lan), first);

    // The other backend takes over, and back.
    lan.map(0, &mappings());
    assert!(!rules(&lan).join("\n").contains("CNI-DN-"));
    run(&lan, Side::Ours, "ADD", &conf);
    assert_eq!(rules(&lan), first);
    assert!(!lan.ruleset().contains("eth0 of c1 in cbr0"));
    lan.unmap(0);
    assert!(!rules(&lan).join("\n").contains("CNI-DN-"));
    assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, NODE[0], 8080));
}
