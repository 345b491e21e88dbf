//! Standard input that is not a configuration.

use serde_json::{Value, json};

use crate::network::Network;

const ON_STDIN: &str = "cannot decode the network configuration on standard input: ";

#[test]
fn anything_but_a_json_object_is_refused() {
    let network = Network::new();
    for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
        for (stdin, problem) in [
            (&b""[..], "empty: a JSON object is expected"),
            (b"\n\t ", "empty: a JSON object is expected"),
            (b"nonsense", "expected ident at line 1 column 2"),
            (
                b"{\"name\":\"net\"",
                "EOF while parsing an object at line 1 column 13",
            ),
            (b"{} {}", "trailing characters at line 1 column 4"),
            (b"null", "an object is expected, not null"),
            (b"[{}]", "an object is expected, not an array"),
            (b"\"{}\"", "an object is expected, not a string"),
            (b"17", "an object is expected, not a number"),
            (b"{\"name\":\"n\xff\"}", "not UTF-8 at byte 10"),
            (b"\xef\xbb\xbf{}", "expected value at line 1 column 1"),
            (
                b"{\"cniVersion\":\"1.1.0\",\"name\":1}",
                "name: invalid type: integer `1`, expected a string",
            ),
            (
                b"{\"cniVersion\":[]}",
                "cniVersion: invalid type: sequence, expected a string",
            ),
        ] {
            // Without a readable version, the answer has the newest.
            network.refuses_with(
                &network.call(command, &Value::Null).stdin(stdin),
                &json!({ "cniVersion": "1.1.0", "code": 6, "msg": format!("{ON_STDIN}{problem}") }),
            );
        }
    }
}

#[test]
fn invalid_network_names_are_refused() {
    let network = Network::new();
    for (name, problem) in [
        (Value::Null, "is empty"),
        (json!(""), "is empty"),
        (
            json!(".."),
            r#"".." has invalid characters: allowed are letters and digits, then also "_", "." and "-""#,
        ),
        (
            json!("a/b"),
            r#""a/b" has invalid characters: allowed are letters and digits, then also "_", "." and "-""#,
        ),
    ] {
        let mut conf = network.subnet();
        conf["name"] = name;
        for command in ["ADD", "DEL", "CHECK"] {
            let message = format!("name of the network configuration: {problem}");
            network.refuses(&network.call(command, &conf), 7, &message);
        }
    }
}

#[test]
fn unsupported_versions_are_refused() {
    let network = Network::new();
    let mut conf = network.subnet();
    conf["cniVersion"] = json!("1.0");
    for command in ["ADD", "DEL", "CHECK"] {
        network.refuses_with(
            &network.call(command, &conf),
            &json!({
                "cniVersion": "1.1.0",
                "code": 1,
                "msg": "incompatible CNI versions",
                "details": "cniVersion of the network configuration is \"1.0\", the plugin supports 0.1.0, 0.2.0, \
                            0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0",
            }),
        );
    }
    conf["cniVersion"] = json!("0.3.1");
    network.refuses_with(
        &network.call("CHECK", &conf),
        &json!({
            "cniVersion": "0.3.1",
            "code": 1,
            "msg": "config version does not allow CHECK",
        }),
    );
}

const MEGABYTES: usize = 4 << 20;

#[test]
fn megabytes_of_invalid_input_are_refused() {
    let network = Network::new();
    let call = network.call("ADD", &Value::Null);
    for (stdin, problem) in [
        (vec![b' '; MEGABYTES], "empty: a JSON object is expected"),
        (vec![0; MEGABYTES], "expected value at line 1 column 1"),
        (
            vec![b'['; MEGABYTES],
            "EOF while parsing a list at line 1 column 4194304",
        ),
        (
            "{\"\":".repeat(MEGABYTES / 4).into_bytes(),
            "EOF while parsing a value at line 1 column 4194304",
        ),
    ] {
        network.refuses_with(
            &call.clone().stdin(stdin),
            &json!({ "cniVersion": "1.1.0", "code": 6, "msg": format!("{ON_STDIN}{problem}") }),
        );
    }
}

#[test]
fn megabytes_of_unknown_keys_are_ignored() {
    let network = Network::new();
    let text = "x".repeat(MEGABYTES);
    let deep = format!("{}{}", "[".repeat(MEGABYTES / 8), "]".repeat(MEGABYTES / 8));
    let mut conf = network.subnet();
    conf["ipam"]["unknown"] = text.into();
    conf["unknown"] = vec![json!({ "a": [1, 2] }); 50_000].into();
    let stdin = conf
        .to_string()
        .replacen('{', &format!("{{\"deep\":{deep},"), 1);

    let call = |command: &str| network.call(command, &Value::Null).stdin(stdin.clone());
    let ips = json!([{ "address": "10.1.1.3/24", "gateway": "10.1.1.1" }]);
    assert_eq!(
        call("ADD").run().success(),
        json!({ "cniVersion": "1.0.0", "ips": ips })
    );
    call("CHECK").run().silent();
    call("DEL").run().silent();
    assert!(!network.path().join("data/net/10.1.1.3").exists());
}
