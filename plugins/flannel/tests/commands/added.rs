//! ADD: the delegate's input, the kept configuration, and the result.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::desk::Desk;

const DELEGATED: &str = r#"{"name":"cbr0","cniVersion":"1.0.0","type":"bridge","ipMasq":false,"mtu":1450,"isGateway":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"10.244.0.0/16"}]}}"#;

#[test]
fn the_delegate_gets_the_configuration_that_is_kept() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let [call] = &*desk.delegate.calls() else {
        panic!("{:?}", desk.delegate.calls());
    };
    assert_eq!(str::from_utf8(&call.stdin).unwrap(), DELEGATED);
    let owned = format!(
        r#"{},"twill/ifname":"eth0"}}"#,
        DELEGATED.strip_suffix('}').unwrap()
    );
    assert_eq!(desk.kept(), [("c1".to_owned(), owned)].into());
    let mode = |path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(desk.data_dir()), 0o700);
    assert_eq!(mode(desk.data_dir().join("c1")), 0o600);
}

#[test]
fn the_delegate_inherits_the_environment() {
    let desk = Desk::new();
    let directories = format!("/nowhere:{}", desk.delegate.dir().display());
    let call = desk
        .call("ADD")
        .path(&directories)
        .args("IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.244.1.9")
        .env("PATH", "/nowhere/else")
        .env("no.identifier", "with\nlines")
        .env("EMPTY", "")
        .env("CNI_NEW", "1")
        .env("BYTES", OsStr::from_bytes(b"a\xffb"));
    call.run().success();
    let expected = [
        ("BYTES", "a\u{fffd}b"),
        ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.244.1.9"),
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "c1"),
        ("CNI_DELEGATION_DEPTH", "1"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_NETNS", "/run/netns/c1"),
        ("CNI_NEW", "1"),
        ("CNI_PATH", &*directories),
        ("EMPTY", ""),
        ("PATH", "/nowhere/else"),
        ("no.identifier", "with\nlines"),
    ];
    let expected: BTreeMap<String, String> = expected
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    call.clone().command("CHECK").run().silent();
    call.command("DEL").run().silent();
    let calls = desk.delegate.calls();
    assert_eq!(calls.len(), 3);
    for (call, command) in calls.iter().zip(["ADD", "CHECK", "DEL"]) {
        let mut expected = expected.clone();
        expected.insert("CNI_COMMAND".into(), command.into());
        assert_eq!(call.env, expected);
    }
}

#[test]
fn a_result_in_the_right_version_keeps_its_unknown_keys() {
    let desk = Desk::new();
    let result = r#"{
        "cniVersion": "1.0.0",
        "ips": [{"address": "10.244.1.2/24", "note": 123456789012345678901234567890}],
        "vendor": {"x": [1.10]}
    }"#;
    desk.delegate.on("ADD").stdout(result);
    let outcome = desk.call("ADD").run();
    assert_eq!(
        outcome.success(),
        serde_json::from_str::<Value>(result).unwrap()
    );
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    assert!(
        stdout.contains("123456789012345678901234567890"),
        "{stdout}"
    );
    assert!(stdout.contains("1.10"), "{stdout}");
}

#[test]
fn a_result_in_another_version_is_converted() {
    let desk = Desk::new();
    let old = json!({
        "cniVersion": "0.2.0",
        "ip4": {"ip": "10.244.1.2/24", "gateway": "10.244.1.1", "routes": [{"dst": "10.244.0.0/16"}]},
        "vendor": 1,
    });
    desk.delegate.on("ADD").stdout(old.to_string());
    assert_eq!(
        desk.call("ADD").run().success(),
        json!({
            "cniVersion": "1.0.0",
            "ips": [{"address": "10.244.1.2/24", "gateway": "10.244.1.1"}],
            "routes": [{"dst": "10.244.0.0/16"}],
            "vendor": 1,
        })
    );

    let new = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.244.1.2/24"}]});
    desk.delegate.on("ADD").stdout(new.to_string());
    let mut netconf = desk.netconf();
    netconf["cniVersion"] = "0.3.1".into();
    assert_eq!(
        desk.call("ADD").config(&netconf).run().success(),
        json!({
            "cniVersion": "0.3.1",
            "ips": [{"version": "4", "address": "10.244.1.2/24"}],
            "dns": {},
        })
    );
}

#[test]
fn a_result_without_a_version_counts_as_the_configurations_version() {
    let desk = Desk::new();
    desk.delegate
        .on("ADD")
        .stdout(r#"{"ips": [{"address": "10.244.1.2/24"}]}"#);
    assert_eq!(
        desk.call("ADD").run().success(),
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.244.1.2/24"}]})
    );
}

#[test]
fn the_delegates_stderr_is_passed_on() {
    let desk = Desk::new();
    for command in ["ADD", "CHECK", "DEL"] {
        let said = format!("{command}: a deprecated key\n");
        desk.delegate.on(command).stderr(&said);
        let outcome = desk.call(command).run();
        assert_eq!((outcome.code, outcome.stderr_text()), (Some(0), said));
    }
}

#[test]
fn a_repeated_add_keeps_the_later_configuration() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let mut netconf = desk.netconf();
    netconf["delegate"] = json!({"mtu": 9000});
    desk.call("ADD").config(&netconf).run().success();
    let kept = desk.kept();
    assert_eq!(kept.len(), 1);
    assert!(kept["c1"].starts_with(r#"{"mtu":9000,"#), "{kept:?}");
}
