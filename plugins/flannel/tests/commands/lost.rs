//! DEL without the kept configuration: flannel rebuilds the delegate's configuration, so that no
//! address is lost.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use testkit::{Outcome, ScriptedDelegate};

use crate::asked::{commands, last_call};
use crate::desk::{Desk, SUBNET_ENV};
use crate::traced::Traced;
use crate::upkeep::{gc, kept, leave, with_kept};

const ERROR: &str = r#"{"code": 999, "msg": "no bridge today", "details": "ask again"}"#;

/// The damaged contents of a file; `None` for a removed file.
type Loss = fn(&str) -> Option<Vec<u8>>;

/// The ways to lose a file: it is removed, cut off, or filled with zeros.
const LOSSES: [Loss; 6] = [
    |_| None,
    |_| Some(Vec::new()),
    |whole| Some(whole.as_bytes()[..1].to_owned()),
    |whole| Some(whole.as_bytes()[..whole.len() / 2].to_owned()),
    |whole| Some(whole.as_bytes()[..whole.len() - 1].to_owned()),
    |whole| Some(vec![0; whole.len()]),
];

/// Damages a kept file.
fn lose(desk: &Desk, name: &str, loss: Loss) {
    let file = desk.data_dir().join(name);
    match loss(&desk.kept()[name]) {
        None => fs::remove_file(file).unwrap(),
        Some(left) => fs::write(file, left).unwrap(),
    }
}

/// The configuration of the delegate's last call.
fn last_conf(desk: &Desk) -> Value {
    serde_json::from_slice(&last_call(desk).stdin).unwrap()
}

#[test]
fn the_rebuilt_configuration_equals_that_of_add() {
    for version in ["0.3.1", "0.4.0", "1.0.0"] {
        for loss in LOSSES {
            let desk = Desk::new();
            let lease = format!(
                "{SUBNET_ENV}FLANNEL_IPV6_NETWORK=fd00:244::/56\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\n"
            );
            fs::write(desk.subnet_file(), lease).unwrap();
            let mut netconf = desk.netconf();
            netconf["cniVersion"] = version.into();
            netconf["delegate"] = json!({"hairpinMode": true, "mtu": 1400});
            netconf["ipam"] = json!({"routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/nowhere"});
            netconf["args"] = json!({"cni": {"ips": ["10.244.1.9"]}});
            netconf["dns"] = json!({"nameservers": ["10.96.0.10"]});
            desk.call("ADD").config(&netconf).run().success();
            lose(&desk, "c1", loss);
            desk.call("DEL").config(&netconf).run().silent();
            let calls = desk.delegate.calls();
            assert_eq!(commands(&desk), ["ADD", "DEL"]);
            assert_eq!(calls[1].stdin, calls[0].stdin);
            assert_eq!(kept(&desk), [""; 0]);
        }
    }
}

#[test]
fn the_configuration_of_a_further_attachment_is_rebuilt() {
    for loss in LOSSES {
        let desk = Desk::new();
        desk.call("ADD").run().success();
        desk.call("ADD").ifname("eth1").run().success();
        lose(&desk, ".attachments/c1:eth1", loss);
        let first = desk.kept()["c1"].clone();
        desk.call("DEL").ifname("eth1").run().silent();
        let calls = desk.delegate.calls();
        assert_eq!(calls[2].env["CNI_IFNAME"], "eth1");
        assert_eq!(calls[2].stdin, calls[1].stdin);
        assert_eq!(desk.kept(), [("c1".to_owned(), first)].into());
    }
}

#[test]
fn without_a_lease_prev_result_gives_the_subnets() {
    let v4 =
        |version| json!({"version": version, "address": "10.244.1.7/24", "gateway": "10.244.1.1"});
    let v6 = |version| json!({"version": version, "address": "fd00:244:0:1::7/64"});
    let subnet = |text| json!([{"subnet": text}]);
    let (subnet_v4, subnet_v6) = (subnet("10.244.1.0/24"), subnet("fd00:244:0:1::/64"));
    for (version, prev_result, ranges) in [
        (
            "0.2.0",
            json!({"ip4": {"ip": "10.244.1.7/24"}, "ip6": {"ip": "fd00:244:0:1::7/64"}}),
            json!([subnet_v4, subnet_v6]),
        ),
        ("0.3.1", json!({"ips": [v4("4")]}), json!([subnet_v4])),
        (
            "0.4.0",
            json!({"ips": [v4("4"), v6("6")]}),
            json!([subnet_v4, subnet_v6]),
        ),
        (
            "1.0.0",
            json!({"ips": [{"address": "10.244.1.7/24", "interface": 2}]}),
            json!([subnet_v4]),
        ),
        (
            "1.1.0",
            json!({"ips": [{"address": "fd00:244:0:1::7/64"}, {"address": "10.244.1.7/24"}]}),
            json!([subnet_v6, subnet_v4]),
        ),
    ] {
        for names_its_version in [true, false] {
            let desk = Desk::new();
            fs::remove_file(desk.subnet_file()).unwrap();
            let mut prev_result = prev_result.clone();
            if names_its_version {
                prev_result["cniVersion"] = version.into();
            }
            let mut netconf = desk.netconf();
            netconf["cniVersion"] = version.into();
            netconf["prevResult"] = prev_result.clone();
            netconf["runtimeConfig"] = json!({"mac": "00:11:22:33:44:55"});
            desk.call("DEL").config(&netconf).run().silent();
            assert_eq!(commands(&desk), ["DEL"]);
            let expected = json!({
                "name": "cbr0",
                "cniVersion": version,
                "type": "bridge",
                "ipMasq": true,
                "mtu": 0,
                "isGateway": true,
                "runtimeConfig": {"mac": "00:11:22:33:44:55"},
                "ipam": {"type": "host-local", "ranges": ranges, "routes": []},
                "prevResult": prev_result,
            });
            assert_eq!(last_conf(&desk), expected);
        }
    }
}

#[test]
fn the_lease_takes_precedence_over_prev_result() {
    let desk = Desk::new();
    let mut netconf = desk.netconf();
    netconf["prevResult"] = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/8"}]});
    desk.call("DEL").config(&netconf).run().silent();
    let conf = last_conf(&desk);
    assert_eq!(
        conf["ipam"]["ranges"],
        json!([[{"subnet": "10.244.1.0/24"}]])
    );
    assert_eq!(conf["prevResult"], netconf["prevResult"]);
}

#[test]
fn del_succeeds_without_lease_and_prev_result() {
    for lease in [
        None,
        Some(""),
        Some("FLANNEL_MTU=1450\n"),
        Some("nonsense\n"),
    ] {
        for prev_result in [
            Value::Null,
            json!({}),
            json!({"cniVersion": "1.0.0", "ips": []}),
            json!({"cniVersion": "1.0.0", "ips": "none"}),
            json!("garbage"),
        ] {
            let desk = Desk::new();
            fs::remove_file(desk.subnet_file()).unwrap();
            if let Some(lease) = lease {
                fs::write(desk.subnet_file(), lease).unwrap();
            }
            leave(&desk, "c1", "{\"name\":");
            let mut netconf = desk.netconf();
            netconf["prevResult"] = prev_result;
            desk.call("DEL").config(&netconf).run().silent();
            assert_eq!(commands(&desk), [""; 0]);
            assert_eq!(kept(&desk), [""; 0]);
        }
    }
}

#[test]
fn del_succeeds_with_a_configuration_that_add_would_refuse() {
    for (key, value) in [
        ("delegate", json!(5)),
        ("delegate", json!({"type": 5})),
        ("delegate", json!({"type": "../bridge"})),
        ("delegate", json!({"name": "x"})),
        ("ipam", json!("host-local")),
        ("ipam", json!({"routes": 5})),
        ("subnetFile", json!([])),
    ] {
        let desk = Desk::new();
        leave(&desk, "c1", "");
        let mut netconf = desk.netconf();
        netconf[key] = value;
        desk.call("DEL").config(&netconf).run().silent();
        assert_eq!(commands(&desk), [""; 0]);
        assert_eq!(kept(&desk), [""; 0]);
    }
}

#[test]
fn del_succeeds_without_the_delegate() {
    let desk = Desk::new();
    let directory = desk.path("plugins");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("bridge"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(directory.join("bridge"), fs::Permissions::from_mode(0o644)).unwrap();
    for path in ["/nowhere", directory.to_str().unwrap()] {
        leave(&desk, "c1", "");
        desk.call("DEL").path(path).run().silent();
        assert_eq!(kept(&desk), [""; 0]);
    }
    assert_eq!(commands(&desk), [""; 0]);
}

/// DEL fails with the error of a missing or unreadable kept configuration.
const DEBRIS: [Option<&str>; 3] = [None, Some(""), Some("{\"name\":")];

#[track_caller]
fn assert_no_bridge(outcome: &Outcome, kept: &str) {
    let failure = outcome.failure();
    assert_eq!(
        (failure.code, failure.msg, &*failure.details),
        (999, format!("bridge: no bridge today{kept}"), "ask again")
    );
}

#[test]
fn a_failed_delegate_is_called_again() {
    for debris in DEBRIS {
        let desk = Desk::new();
        if let Some(debris) = debris {
            leave(&desk, "c1", debris);
        }
        desk.delegate.on("DEL").stdout(ERROR).exit(1);
        assert_no_bridge(&desk.call("DEL").run(), "");
        // The attempt is recorded.
        let mut expected: Value = last_conf(&desk);
        expected["twill/ifname"] = "eth0".into();
        expected["twill/failure"] = "bridge: no bridge today".into();
        expected["twill/failures"] = 2.into();
        let noted: Value = serde_json::from_str(&desk.kept()["c1"]).unwrap();
        assert_eq!(noted, expected);

        desk.delegate.on("DEL").reset();
        desk.call("DEL").run().silent();
        assert_eq!(kept(&desk), [""; 0]);
        assert_eq!(commands(&desk), ["DEL"; 2]);
        let calls = desk.delegate.calls();
        assert_eq!(calls[1].stdin, calls[0].stdin);
    }
}

/// The Go plugins report every mistake in a configuration with code 999.
#[test]
fn a_delegate_that_keeps_failing_fails_one_del() {
    for debris in DEBRIS {
        for command in ["DEL", "GC"] {
            let desk = Desk::new();
            let host_local = ScriptedDelegate::new("host-local");
            if let Some(debris) = debris {
                leave(&desk, "c1", debris);
            }
            desk.delegate.on("DEL").stdout(ERROR).exit(1);
            let paths = [desk.delegate.dir(), host_local.dir()];
            let del = desk.call("DEL").paths(&paths);
            assert_no_bridge(&del.run(), "");
            assert_eq!(host_local.calls(), []);
            match command {
                "DEL" => del.run().silent(),
                _ => gc(&desk, &[]).paths(&paths).run().silent(),
            }
            assert_eq!(kept(&desk), [""; 0]);
            // The addresses are released.
            let released = &host_local.calls()[0];
            assert_eq!(
                (&*released.command, &*released.env["CNI_CONTAINERID"]),
                ("DEL", "c1")
            );
            let conf: Value = serde_json::from_slice(&released.stdin).unwrap();
            assert_eq!(conf["ipam"]["type"], "host-local");
            // The next DEL counts as the first one.
            assert_no_bridge(&del.run(), "");
        }
    }
}

#[test]
fn a_temporary_failure_of_the_ipam_plugin_fails_every_del() {
    for (code, remedied) in [(11, "locked by process 7"), (5, "disk full")] {
        let desk = Desk::new();
        let host_local = ScriptedDelegate::new("host-local");
        desk.delegate.on("DEL").stdout(ERROR).exit(1);
        let busy = json!({"code": code, "msg": remedied}).to_string();
        host_local.on("DEL").stdout(busy).exit(1);
        let del = desk
            .call("DEL")
            .paths([desk.delegate.dir(), host_local.dir()]);
        assert_no_bridge(&del.run(), "");
        for _ in 0..3 {
            let failure = del.run().failure();
            let expected = format!(
                "bridge: no bridge today{}; host-local: {remedied}",
                with_kept(&desk, "c1")
            );
            assert_eq!((failure.code, failure.msg), (code, expected));
            assert_eq!(kept(&desk), ["c1"]);
        }
        host_local.on("DEL").reset();
        del.run().silent();
        assert_eq!(kept(&desk), [""; 0]);
    }
}

#[test]
fn a_failure_that_no_configuration_causes_fails_every_del() {
    for code in [5, 11] {
        let desk = Desk::new();
        let error = json!({"code": code, "msg": "not now"}).to_string();
        desk.delegate.on("DEL").stdout(error).exit(1);
        for _ in 0..3 {
            let failure = desk.call("DEL").run().failure();
            assert_eq!((failure.code, &*failure.msg), (code, "bridge: not now"));
            assert_eq!(kept(&desk), [""; 0]);
        }
    }
}

/// An attempt that cannot be recorded must not count as the first one each time.
#[test]
fn a_failure_that_cannot_be_recorded_is_final() {
    let desk = Desk::new();
    desk.delegate.on("DEL").stdout(ERROR).exit(1);
    let variables = [("CNI_COMMAND", OsStr::new("DEL"))];
    let options = ["-e", "inject=mkdir,mkdirat:error=ENOSPC"];
    let Some(traced) = Traced::start(&desk, &options, &desk.netconf(), &variables) else {
        return;
    };
    let (output, calls) = traced.wait();
    assert!(calls.contains("ENOSPC"), "{calls}");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b""[..]));
    assert_eq!(commands(&desk), ["DEL"]);
}

/// An ADD between two DELs resets the count of failures.
#[test]
fn an_add_after_a_failed_del_resets_the_count() {
    let desk = Desk::new();
    desk.delegate.on("DEL").stdout(ERROR).exit(1);
    desk.call("DEL").run().failure();
    desk.call("ADD").run().success();
    let kept_of_add = desk.kept();
    assert!(!kept_of_add["c1"].contains("twill/failure"));
    for _ in 0..3 {
        assert_no_bridge(&desk.call("DEL").run(), &with_kept(&desk, "c1"));
        assert_eq!(desk.kept(), kept_of_add);
    }
}

#[test]
fn del_does_not_wait_for_a_lease() {
    let desk = Desk::new();
    fs::remove_file(desk.subnet_file()).unwrap();
    let mut netconf = desk.netconf();
    netconf["subnetFileWait"] = json!(20);
    let outcome = desk.call("DEL").config(&netconf).run();
    outcome.silent();
    assert!(outcome.elapsed.as_secs() < 5, "{outcome}");
}
