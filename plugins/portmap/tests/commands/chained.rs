//! A chained plugin: what it gets, passes on and needs.

use serde_json::{Value, json};
use testkit::{Container, Side, Strace};

use crate::support::{Lan, PODS, conf_of};

const VERSIONS: [&str; 7] = [
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
];

/// A result in the shape of a version, with keys that no version has.
fn result_in(version: &str, sandbox: &str) -> Value {
    match version {
        "0.1.0" | "0.2.0" => json!({
            "cniVersion": version,
            "ip4": {"ip": "10.244.1.2/24", "gateway": "10.244.1.1", "x": 1},
            "ip6": {"ip": "fd00:10::2/64"},
            "ours": {"deep": [1, 2.50]},
            "dns": {},
        }),
        _ => {
            let ip = |address: &str, family: &str| {
                let mut ip = json!({"address": address, "interface": 0, "x": 1});
                if !version.starts_with('1') {
                    ip["version"] = json!(family);
                }
                ip
            };
            json!({
                "cniVersion": version,
                "interfaces": [{"name": "eth0", "sandbox": sandbox, "y": null}],
                "ips": [ip("10.244.1.2/24", "4"), ip("fd00:10::2/64", "6")],
                "routes": [{"dst": "0.0.0.0/0", "z": 1e300}],
                "ours": {"deep": [1, 2.50]},
                "dns": {"nameservers": ["192.0.2.53"]},
            })
        }
    }
}

#[test]
fn the_result_passes_through_in_every_version() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let pod = &lan.pods[0];
    for version in VERSIONS {
        let sandbox = pod.sandbox.path().display().to_string();
        let result = result_in(version, &sandbox);
        for mappings in [json!([]), json!([{"hostPort": 8080, "containerPort": 80}])] {
            let keys = json!({"cniVersion": version, "prevResult": result});
            let conf = conf_of(pod, PODS[0], &mappings, &keys);
            assert_eq!(lan.add(pod, &conf), result, "{version} {mappings}");
            let is_mapped = lan.ruleset().contains("host-ports");
            assert_eq!(is_mapped, mappings != json!([]), "{version}");
            if version >= "0.4.0" {
                lan.node.run(&lan.call("CHECK", pod, &conf)).silent();
            }
        }
        assert!(lan.ruleset().contains("tcp . 8080 comment"), "{version}");
        lan.del(pod, &json!({"cniVersion": version, "name": "cbr0"}));
        assert!(!lan.ruleset().contains("tcp . 8080 comment"), "{version}");
        lan.nft("flush ruleset");
    }
}

// The list may have been raised while the container ran.
#[test]
fn a_result_of_another_version_is_converted() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let pod = &lan.pods[0];
    let old = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.244.1.2/24"}});
    let keys = json!({"prevResult": old});
    let conf = conf_of(
        pod,
        PODS[0],
        &json!([{"hostPort": 8080, "containerPort": 80}]),
        &keys,
    );
    let result = lan.add(pod, &conf);
    assert_eq!(
        result,
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.244.1.2/24"}]})
    );
    assert!(lan.ruleset().contains("tcp . 8080 comment"));
}

#[test]
fn without_ports_no_socket_is_opened() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let Some(strace) = Strace::new() else { return };
    let sockets = |command: &str, conf: &Value| {
        let call = lan.call(command, &lan.pods[0], conf);
        let call = strace.of(call, &["trace=socket,clone,clone3,vfork"]);
        assert_eq!(lan.node.run(&call).code, Some(0));
        strace.calls().lines().count()
    };
    for mappings in [json!([]), json!(null)] {
        let conf = lan.conf(
            0,
            &mappings,
            &json!({"conditionsV4": ["ip saddr 10.0.0.0/8"]}),
        );
        for command in ["ADD", "CHECK"] {
            assert_eq!(sockets(command, &conf), 0, "{command} {mappings}");
        }
    }
    let conf = lan.conf(0, &json!([{"hostPort": 1, "containerPort": 1}]), &json!({}));
    assert!(sockets("ADD", &conf) > 0);
}

#[test]
fn what_is_missing_or_makes_no_sense_changes_nothing() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let mapping = json!([{"hostPort": 8080, "containerPort": 80}]);
    let good = lan.conf(0, &mapping, &json!({}));
    for (keys, code, says) in [
        (
            json!({"prevResult": null}),
            7,
            "prevResult of the network configuration is missing",
        ),
        (json!({"prevResult": {"ips": 1}}), 6, "prevResult.ips"),
        (
            json!({"runtimeConfig": {"portMappings": [{"hostPort": 70000, "containerPort": 80}]}}),
            7,
            "runtimeConfig.portMappings[0] (hostPort 70000 to containerPort 80): hostPort 70000",
        ),
        (
            json!({"conditionsV4": ["-d", "10.0.0.1"]}),
            2,
            "conditionsV4: \"-d\" is not supported",
        ),
        (json!({"snat": "yes"}), 6, "snat"),
    ] {
        let mut conf = good.clone();
        for (key, value) in keys.as_object().unwrap() {
            conf[key] = value.clone();
        }
        for command in ["ADD", "CHECK"] {
            let outcome = lan.node.run(&lan.call(command, &lan.pods[0], &conf));
            outcome.refusal(code, &[says]);
        }
        // A DEL is not held up by any of it.
        lan.del(&lan.pods[0], &conf);
    }
    let without_ports = lan.conf(0, &json!([]), &json!({"prevResult": null}));
    for command in ["ADD", "CHECK"] {
        let outcome = lan
            .node
            .run(&lan.call(command, &lan.pods[0], &without_ports));
        outcome.refusal(7, &["prevResult of the network configuration is missing"]);
    }
    assert_eq!(lan.ruleset(), "");
}

#[test]
fn a_del_needs_nothing_and_may_be_repeated() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let mapping = json!([{"hostPort": 8080, "containerPort": 80}]);
    lan.map(0, &mapping);
    lan.map(1, &json!([{"hostPort": 8081, "containerPort": 80}]));
    // Another attachment of the same container.
    let mut second = lan.conf(
        0,
        &json!([{"hostPort": 8082, "containerPort": 80}]),
        &json!({}),
    );
    second["prevResult"]["interfaces"][1]["name"] = json!("net1");
    second["prevResult"]["ips"] = json!([{"address": "10.9.0.2/24", "interface": 1}]);
    let call = lan.call("ADD", &lan.pods[0], &second).ifname("net1");
    lan.node.run(&call).success();
    let bare = json!({"cniVersion": "1.0.0", "name": "cbr0", "type": "portmap"});
    for _ in 0..2 {
        let call = lan.call("DEL", &lan.pods[0], &bare).without("CNI_NETNS");
        lan.node.run(&call).silent();
        let left = lan.ruleset();
        assert!(!left.contains("tcp . 8080 comment"), "{left}");
        assert!(left.contains("tcp . 8081 comment"), "{left}");
        assert!(left.contains("tcp . 8082 comment"), "{left}");
    }
}

#[test]
fn gc_and_status() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let conf = |keys: Value| {
        let mut conf = json!({"cniVersion": "1.1.0", "name": "cbr0", "type": "portmap"});
        for (key, value) in keys.as_object().unwrap() {
            conf[key] = value.clone();
        }
        conf
    };
    let run = |command: &str, conf: &Value| lan.node.run(&lan.call_alone(command, conf));
    run("STATUS", &conf(json!({}))).silent();
    run("STATUS", &conf(json!({"backend": "iptables"}))).silent();
    assert!(!lan.ruleset().contains("twill_portmap"));
    run("STATUS", &conf(json!({"backend": "x"}))).refusal(7, &["backend \"x\""]);
    lan.map(0, &json!([{"hostPort": 8080, "containerPort": 80}]));
    lan.map(1, &json!([{"hostPort": 8081, "containerPort": 80}]));
    run("STATUS", &conf(json!({}))).silent();
    let valid = |ids: &[&str]| {
        let ids = ids
            .iter()
            .map(|id| json!({"containerID": id, "ifname": "eth0"}));
        json!({"cni.dev/valid-attachments": ids.collect::<Vec<_>>()})
    };
    run("GC", &conf(json!({}))).silent();
    run("GC", &conf(valid(&["c1", "c2"]))).silent();
    assert_eq!(lan.ruleset().matches("tcp . 808").count(), 4);
    run("GC", &conf(valid(&["c2"]))).silent();
    assert_eq!(lan.ruleset().matches("tcp . 8081").count(), 2);
    assert_eq!(lan.ruleset().matches("tcp . 8080").count(), 0);
    run("GC", &conf(valid(&[]))).silent();
    assert!(!lan.ruleset().contains("twill_portmap"));
    assert_eq!(lan.node.read(ROUTE_LOCALNET).trim(), "0");
}

/// The setting that lets the node's packets from 127.0.0.1 reach containers.
const ROUTE_LOCALNET: &str = "/proc/sys/net/ipv4/conf/cni0/route_localnet";

#[test]
fn without_rights_the_error_says_what_is_needed() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let conf = lan.conf(
        0,
        &json!([{"hostPort": 8080, "containerPort": 80}]),
        &json!({}),
    );
    for command in ["ADD", "DEL"] {
        let call = lan.call_without_rights(command, &lan.pods[0], &conf);
        let failure = lan.node.run(&call).failure();
        assert!(
            failure.msg.ends_with("this needs CAP_NET_ADMIN"),
            "{}",
            failure.msg
        );
        assert_eq!(failure.code, 5);
    }
    let probe = json!({"cniVersion": "1.1.0", "name": "cbr0", "type": "portmap"});
    let container = Container::new("c3");
    let call = lan.call_without_rights("STATUS", &container, &probe);
    assert_eq!(lan.node.run(&call).failure().code, 50);
    assert_eq!(lan.ruleset(), "");
}
