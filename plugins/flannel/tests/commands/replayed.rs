//! DEL and CHECK: the delegate gets the kept configuration of the ADD, whatever the present
//! configuration says.

use serde_json::{Value, json};

use crate::desk::Desk;

/// A configuration that shares only `dataDir` with that of the ADD.
fn changed_beyond_recognition(desk: &Desk) -> Value {
    std::fs::remove_file(desk.subnet_file()).unwrap();
    json!({
        "cniVersion": "1.1.0",
        "name": "renamed",
        "type": "flannel",
        "dataDir": desk.data_dir(),
        "delegate": {"type": "no-such-plugin", "name": "x"},
        "ipam": 5,
    })
}

#[test]
fn del_and_check_replay_the_kept_configuration() {
    for command in ["CHECK", "DEL"] {
        let desk = Desk::new();
        desk.call("ADD").run().success();
        let kept = desk.kept();
        let netconf = changed_beyond_recognition(&desk);
        desk.call(command).config(&netconf).run().silent();
        let calls = desk.delegate.calls();
        assert_eq!((calls.len(), &*calls[1].command), (2, command));
        assert_eq!(calls[1].stdin, calls[0].stdin);
        let expected = if command == "DEL" { [].into() } else { kept };
        assert_eq!(desk.kept(), expected);
    }
}

#[test]
fn prev_result_and_runtime_config_come_from_the_call() {
    for command in ["CHECK", "DEL"] {
        let desk = Desk::new();
        let mut netconf = desk.netconf();
        netconf["runtimeConfig"] = json!({"mac": "00:11:22:33:44:55"});
        let result = desk.call("ADD").config(&netconf).run().success();
        let mut expected: Value = serde_json::from_slice(&desk.delegate.calls()[0].stdin).unwrap();
        assert_eq!(expected["runtimeConfig"], netconf["runtimeConfig"]);
        assert_eq!(expected.get("prevResult"), None);

        netconf["runtimeConfig"] = json!({"portMappings": [{"hostPort": 80}]});
        netconf["prevResult"] = result;
        desk.call(command).config(&netconf).run().silent();
        for key in ["runtimeConfig", "prevResult"] {
            expected[key] = netconf[key].clone();
        }
        let replayed = &desk.delegate.calls()[1];
        assert_eq!(
            serde_json::from_slice::<Value>(&replayed.stdin).unwrap(),
            expected
        );
    }
}

#[test]
fn del_succeeds_before_add_and_repeatedly() {
    let desk = Desk::new();
    // There was no ADD.
    desk.call("DEL").run().silent();
    assert!(!desk.data_dir().exists());
    desk.call("ADD").run().success();
    desk.call("DEL").run().silent();
    desk.call("DEL").run().silent();
    let calls = desk.delegate.calls();
    assert_eq!(
        calls.iter().map(|call| &*call.command).collect::<Vec<_>>(),
        ["DEL", "ADD", "DEL", "DEL"]
    );
    assert!(calls.iter().all(|call| call.stdin == calls[0].stdin));
    assert_eq!(desk.kept(), [].into());
}

#[test]
fn del_does_not_require_a_netns() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    desk.call("DEL").without("CNI_NETNS").run().silent();
    assert_eq!(desk.delegate.calls()[1].env.get("CNI_NETNS"), None);
    assert_eq!(desk.kept(), [].into());
}

#[test]
fn del_of_an_unknown_attachment_leaves_others_alone() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let kept = desk.kept();
    desk.call("DEL").ifname("eth1").run().silent();
    desk.call("DEL").container("c2").run().silent();
    for call in [
        desk.call("CHECK").ifname("eth1"),
        desk.call("CHECK").container("c2"),
    ] {
        assert_eq!(call.run().failure().code, 120);
    }
    let calls = desk.delegate.calls();
    let whose = calls.iter().map(|call| {
        let (container, ifname) = (&call.env["CNI_CONTAINERID"], &call.env["CNI_IFNAME"]);
        (&*call.command, &**container, &**ifname)
    });
    assert_eq!(
        whose.collect::<Vec<_>>(),
        [
            ("ADD", "c1", "eth0"),
            ("DEL", "c1", "eth1"),
            ("DEL", "c2", "eth0")
        ]
    );
    assert_eq!(desk.kept(), kept);
}

#[test]
fn each_attachment_of_a_container_is_deleted_with_its_own_configuration() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let mut netconf = desk.netconf();
    netconf["delegate"] = json!({"bridge": "cni1"});
    desk.call("ADD")
        .ifname("eth1")
        .config(&netconf)
        .run()
        .success();
    let names = || desk.kept().into_keys().collect::<Vec<_>>();
    assert_eq!(names(), [".attachments/c1:eth1", "c1"]);
    desk.call("DEL").run().silent();
    assert_eq!(names(), [".attachments/c1:eth1"]);
    desk.call("DEL").ifname("eth1").run().silent();
    assert_eq!(names(), [""; 0]);
    let calls = desk.delegate.calls();
    assert_eq!(calls.len(), 4);
    assert_eq!(calls[2].stdin, calls[0].stdin);
    assert_eq!(calls[3].stdin, calls[1].stdin);
    assert_ne!(calls[0].stdin, calls[1].stdin);
}

#[test]
fn check_of_an_unknown_attachment_fails() {
    let desk = Desk::new();
    let expected = format!(
        "eth0 of container c1 has no usable configuration in {}: it was not added, or has been \
            deleted",
        desk.data_dir().display()
    );
    let failure = desk.call("CHECK").run().failure();
    assert_eq!((failure.code, &failure.msg), (120, &expected));
    assert!(!desk.data_dir().exists());
    desk.call("ADD").run().success();
    desk.call("DEL").run().silent();
    assert_eq!(desk.call("CHECK").run().failure().msg, expected);
    assert_eq!(desk.delegate.calls().len(), 2);
}

/// A result with one address, in the shape of a version.
fn prev_result(version: &str) -> Value {
    let (address, gateway) = ("10.244.1.7/24", "10.244.1.1");
    match version {
        "0.2.0" => {
            json!({"cniVersion": version, "ip4": {"ip": address, "gateway": gateway}, "dns": {}})
        }
        "0.3.1" | "0.4.0" => json!({
            "cniVersion": version,
            "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}],
            "ips": [{"version": "4", "interface": 0, "address": address, "gateway": gateway}],
            "dns": {},
        }),
        _ => json!({
            "cniVersion": version,
            "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}],
            "ips": [{"interface": 0, "address": address, "gateway": gateway}],
        }),
    }
}

#[test]
fn prev_result_is_converted_to_the_kept_version() {
    for (kept, now) in [
        ("0.3.1", "1.0.0"),
        ("0.4.0", "1.1.0"),
        ("1.0.0", "0.4.0"),
        ("1.0.0", "1.1.0"),
        ("0.2.0", "0.4.0"),
    ] {
        for command in ["CHECK", "DEL"] {
            let desk = Desk::new();
            let mut netconf = desk.netconf();
            netconf["cniVersion"] = kept.into();
            desk.call("ADD").config(&netconf).run().success();
            netconf["cniVersion"] = now.into();
            netconf["prevResult"] = prev_result(now);
            desk.call(command).config(&netconf).run().silent();
            let replayed: Value = serde_json::from_slice(&desk.delegate.calls()[1].stdin).unwrap();
            // Versions before 0.4.0 have no CHECK.
            let has_check = !matches!(kept, "0.2.0" | "0.3.1");
            let version = if command == "DEL" || has_check {
                kept
            } else {
                now
            };
            let expected = prev_result(version);
            assert_eq!(replayed["cniVersion"], version, "{kept} {now} {command}");
            assert_eq!(replayed["prevResult"], expected, "{kept} {now} {command}");
        }
    }
}

#[test]
fn a_prev_result_that_the_kept_version_cannot_express_is_omitted() {
    let desk = Desk::new();
    let mut netconf = desk.netconf();
    netconf["cniVersion"] = "0.2.0".into();
    desk.call("ADD").config(&netconf).run().success();
    netconf["cniVersion"] = "1.0.0".into();
    netconf["prevResult"] = json!({
        "cniVersion": "1.0.0",
        "ips": [{"address": "10.244.1.7/24"}, {"address": "10.244.1.8/24"}],
    });
    desk.call("DEL").config(&netconf).run().silent();
    let calls = desk.delegate.calls();
    assert_eq!(calls[1].stdin, calls[0].stdin);
}

/// The Go ipvlan needs `master` for CHECK, although ADD works without the key.
#[test]
fn check_succeeds_if_gos_ipvlan_lacks_a_master() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    for (message, is_passed_over) in [
        ("failed to lookup master \\\"\\\": Link not found", true),
        (
            "failed to lookup master \\\"eth7\\\": Link not found",
            false,
        ),
        ("something else", false),
    ] {
        let error = format!(r#"{{"code": 999, "msg": "{message}"}}"#);
        desk.delegate.on("CHECK").stdout(error).exit(1);
        let outcome = desk.call("CHECK").run();
        if is_passed_over {
            outcome.silent();
            let logged = desk.call("CHECK").env("CNI_LOG", "info").run();
            let error_text = logged.stderr_text();
            assert!(
                error_text.contains("the delegate cannot check the link: "),
                "{logged}"
            );
        } else {
            assert_eq!(outcome.failure().code, 999);
        }
    }
}

/// The Go ipvlan takes the only interface of `prevResult` for its master, and fails if there are
/// several.
#[test]
fn del_is_repeated_without_prev_result_if_gos_ipvlan_lacks_a_master() {
    let desk = Desk::new();
    let result = desk.call("ADD").run().success();
    let msg = "chained master failure. PrevResult lacks a single named interface";
    let error = json!({"code": 999, "msg": msg}).to_string();
    desk.delegate.on("DEL").stdout(error).exit(1);
    let mut netconf = desk.netconf();
    netconf["prevResult"] = result;
    let failure = desk.call("DEL").config(&netconf).run().failure();
    assert!(failure.msg.contains(msg), "{failure:?}");
    let calls = desk.delegate.calls();
    assert_eq!((calls.len(), &*calls[2].command), (3, "DEL"));
    assert_ne!(calls[1].stdin, calls[0].stdin);
    assert_eq!(calls[2].stdin, calls[0].stdin);
}
