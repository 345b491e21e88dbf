//! Invalid network configurations.

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::{COMMANDS, assert_refused};

const STDIN: &str = "cannot decode the network configuration on standard input: ";

#[test]
fn anything_but_a_json_object_is_refused() {
    let desk = Desk::new();
    let netconf = desk.netconf().to_string();
    let truncated = &netconf.as_bytes()[..netconf.len() - 1];
    let twice = [netconf.as_bytes(), b"{}"].concat();
    let not_utf8 = [b"{\"name\":\"", &b"\xff\"}"[..]].concat();
    let garbage = b"garbage ".repeat(5 << 17);
    let brackets = b"[".repeat(100_000);
    for (stdin, message) in [
        (&b""[..], "empty: a JSON object is expected".to_owned()),
        (b" \n", "empty: a JSON object is expected".to_owned()),
        (b"garbage", "expected value at line 1 column 1".to_owned()),
        (b"[]", "an object is expected, not an array".to_owned()),
        (
            b"\"text\"",
            "an object is expected, not a string".to_owned(),
        ),
        (b"null", "an object is expected, not null".to_owned()),
        (
            truncated,
            format!(
                "EOF while parsing an object at line 1 column {}",
                truncated.len()
            ),
        ),
        (
            &twice,
            format!("trailing characters at line 1 column {}", netconf.len() + 1),
        ),
        (&not_utf8, "not UTF-8 at byte 9".to_owned()),
        (&garbage, "expected value at line 1 column 1".to_owned()),
        (
            &brackets,
            "EOF while parsing a list at line 1 column 100000".to_owned(),
        ),
    ] {
        for command in COMMANDS {
            let call = desk.call(command).stdin(stdin);
            assert_refused(&desk, &call, 6, &format!("{STDIN}{message}"));
        }
    }
}

#[test]
fn missing_and_invalid_common_keys_are_refused() {
    let desk = Desk::new();
    for (key, value, code, message) in [
        (
            "name",
            Value::Null,
            7,
            "name of the network configuration: is empty".to_owned(),
        ),
        (
            "name",
            "../cbr0".into(),
            7,
            "name of the network configuration: \"../cbr0\" has invalid characters: \
             allowed are letters and digits, then also \"_\", \".\" and \"-\""
                .to_owned(),
        ),
        (
            "name",
            5.into(),
            6,
            format!("{STDIN}name: invalid type: integer `5`, expected a string"),
        ),
        (
            "cniVersion",
            1.0.into(),
            6,
            format!("{STDIN}cniVersion: invalid type: floating point `1.0`, expected a string"),
        ),
    ] {
        let mut netconf = desk.netconf();
        netconf[key] = value;
        for command in COMMANDS {
            assert_refused(&desk, &desk.call(command).config(&netconf), code, &message);
        }
    }
}

#[test]
fn keys_of_the_wrong_type_are_refused() {
    let desk = Desk::new();
    for (key, value, what) in [
        ("subnetFile", json!(7), "integer `7`, expected a string"),
        ("dataDir", json!(["a"]), "sequence, expected a string"),
        (
            "delegate",
            json!("bridge"),
            "string \"bridge\", expected an object",
        ),
        ("delegate", json!([]), "sequence, expected an object"),
        (
            "ipam",
            json!("host-local"),
            "string \"host-local\", expected an object",
        ),
        ("ipam", json!(true), "boolean `true`, expected an object"),
        ("runtimeConfig", json!([]), "sequence, expected an object"),
        ("runtimeConfig", json!(5), "integer `5`, expected an object"),
        (
            "runtimeConfig",
            json!(""),
            "string \"\", expected an object",
        ),
    ] {
        let mut netconf = desk.netconf();
        netconf[key] = value;
        let message =
            format!("cannot decode the network configuration: {key}: invalid type: {what}");
        assert_refused(&desk, &desk.call("ADD").config(&netconf), 6, &message);
    }
    let mut netconf = desk.netconf();
    netconf["dataDir"] = false.into();
    let message = "cannot decode the network configuration: \
        dataDir: invalid type: boolean `false`, expected a string";
    for command in ["CHECK", "DEL"] {
        assert_refused(&desk, &desk.call(command).config(&netconf), 6, message);
    }
}

/// A mistake in the list must not make the delegate's DEL fail.
#[test]
fn del_does_not_pass_on_keys_of_the_wrong_type() {
    let desk = Desk::new();
    for value in [json!([]), json!(5), json!("x"), Value::Null] {
        desk.call("ADD").run().success();
        let mut netconf = desk.netconf();
        netconf["runtimeConfig"] = value.clone();
        netconf["prevResult"] = value;
        desk.call("DEL").config(&netconf).run().silent();
        let calls = desk.delegate.calls();
        let [.., add, del] = &*calls else {
            panic!("{} calls", calls.len());
        };
        assert_eq!(del.stdin, add.stdin);
    }
}

#[test]
fn invalid_routes_are_refused() {
    let desk = Desk::new();
    for (routes, message) in [
        (
            json!("x"),
            ": invalid type: string \"x\", expected a sequence",
        ),
        (json!([5]), "[0]: an object is expected, not a number"),
        (json!([{}]), "[0]: missing field `dst`"),
        (
            json!([{"dst": "10.0.0.0/8"}, {"dst": "10.0.0.0"}]),
            "[1].dst: \"10.0.0.0\" is no network in CIDR notation, such as 10.0.0.0/24 or \
                fd00::/64",
        ),
        (
            json!([{"dst": "10.0.0.0/8", "gw": "10.0.0.256"}]),
            "[0].gw: \"10.0.0.256\" is no IP address",
        ),
    ] {
        let mut netconf = desk.netconf();
        netconf["ipam"] = json!({"routes": routes});
        let message = format!("network configuration: ipam.routes{message}");
        assert_refused(&desk, &desk.call("ADD").config(&netconf), 6, &message);
    }
}

#[test]
fn large_and_deep_configurations_are_passed_on() {
    let desk = Desk::new();
    let large = "x".repeat(5 << 20);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let netconf = desk.netconf().to_string();
    let start = netconf.strip_suffix('}').unwrap();
    for netconf in [
        format!(r#"{start},"unknown":"{large}"}}"#),
        format!(r#"{start},"unknown":{deep}}}"#),
        format!(r#"{start},"delegate":{{"large":"{large}"}}}}"#),
        format!(r#"{start},"delegate":{{"deep":{deep}}}}}"#),
        format!(r#"{start},"runtimeConfig":{{"deep":{deep}}}}}"#),
    ] {
        desk.call("ADD").stdin(&*netconf).run().success();
        desk.call("DEL").stdin(&*netconf).run().silent();
        let calls = desk.delegate.calls();
        let [add, del] = &calls[calls.len() - 2..] else {
            panic!("{} calls", calls.len());
        };
        let passed_on = netconf.contains("delegate") || netconf.contains("runtimeConfig");
        assert_eq!(add.stdin.len() > 100_000, passed_on);
        // The keys that come from the call may have another position.
        assert_eq!(add.stdin.len(), del.stdin.len());
    }
    assert_eq!(desk.kept(), [].into());
}
