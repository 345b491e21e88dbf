//! JSON is decoded as Go decodes it.

use serde_json::json;

use crate::case::{Case, case, conf, with};
use crate::run::run;

const FIRST: [&str; 1] = ["10.1.1.2/24 via 10.1.1.1"];

fn text(name: &str, stdin: &str) -> Case {
    case(name).stdin(stdin).add("c1")
}

#[test]
fn keys_without_regard_to_case() {
    run(&[
        text(
            "upper case",
            r#"{"CNIVERSION":"0.4.0","NAME":"net","IPAM":{"DATADIR":"{dataDir}","RANGES":[[{"SUBNET":"10.1.1.0/24",
                "RANGESTART":"10.1.1.9","RANGEEND":"10.1.1.10","GATEWAY":"10.1.1.254"}]],"ROUTES":[{"DST":"0.0.0.0/0",
                "GW":"10.1.1.3"}],"RESOLVCONF":""}}"#,
        )
        .results_in(json!({
            "cniVersion": "0.4.0",
            "ips": [{ "version": "4", "address": "10.1.1.9/24", "gateway": "10.1.1.254" }],
            "routes": [{ "dst": "0.0.0.0/0", "gw": "10.1.1.3" }],
            "dns": {},
        })),
        text(
            "requests",
            r#"{"cniversion":"0.4.0","Name":"net","Ipam":{"datadir":"{dataDir}","Subnet":"10.1.1.0/24"},
                "RuntimeConfig":{"IPS":["10.1.1.7"],"IPRANGES":[[{"SUBNET":"fd00::/64"}]]},"Args":{"CNI":{"Ips":["fd00::7"]}}}"#,
        )
        .gives(&["fd00::7/64 via fd00::1", "10.1.1.7/24 via 10.1.1.1"]),
        text(
            "the last of several",
            r#"{"cniVersion":"0.4.0","name":"other","NAME":"net","ipam":{"dataDir":"/nowhere","DataDir":"{dataDir}",
                "SUBNET":"10.9.9.0/24","subnet":"10.1.1.0/24"}}"#,
        )
        .gives(&FIRST),
    ]);
}

#[test]
fn null_is_unset() {
    let ipam = json!({
        "subnet": "10.1.1.0/24",
        "rangeStart": null,
        "rangeEnd": null,
        "gateway": null,
        "ranges": null,
        "routes": null,
        "resolvConf": null,
    });
    run(&[
        case("in ipam").conf(&conf(ipam.clone())).add("c1").gives(&FIRST),
        case("beside ipam")
            .conf(&with(with(conf(ipam.clone()), "args", json!(null)), "runtimeConfig", json!(null)))
            .add("c1")
            .gives(&FIRST),
        case("in args and runtimeConfig")
            .conf(&with(
                with(conf(ipam.clone()), "args", json!({ "cni": null })),
                "runtimeConfig",
                json!({ "ips": null, "ipRanges": null }),
            ))
            .add("c1")
            .gives(&FIRST),
        case("in args.cni")
            .conf(&with(conf(ipam), "args", json!({ "cni": { "ips": null } })))
            .add("c1")
            .gives(&FIRST),
        text(
            "null does not take back what is set",
            r#"{"cniVersion":"0.4.0","name":"net","name":null,"ipam":{"dataDir":"{dataDir}","dataDir":null,
                "rangeStart":"10.1.1.2","rangeEnd":"10.1.1.2","subnet":"10.1.1.0/24"}}"#,
        )
        .gives(&FIRST),
    ]);
}

#[test]
fn unknown_keys_are_ignored() {
    run(&[text(
        "unknown keys of all kinds",
        r#" {"cniVersion":"0.4.0","name":"net","number":123456789012345678901234567890e99,"list":[[{"a":{}}],null],
            "ipam":{"dataDir":"{dataDir}","type":"host-local","name":"ignored","subnet":"10.1.1.0/24","x":{"subnet":"y"}},
            "args":{"labels":[{"key":"a"}],"cni":{"x":1}},"runtimeConfig":{"portMappings":[{"hostPort":1}]},
            "capabilities":{"ips":true},"prevResult":{}}
        "#,
    )
    .gives(&FIRST)]);
}

#[test]
fn keys_with_escapes_are_found() {
    run(&[text(
        "escaped keys and values",
        r#"{"cniVersion":"0.4.0","n\u0061me":"\u006eet","ipam":{"dataDir":"{dataDir}","subnet":"10.1.1.0\/24"}}"#,
    )
    .gives(&FIRST)
    .leaves(&["10.1.1.2", "last_reserved_ip.0", "lock"])]);
}

#[test]
fn anything_but_a_json_object_is_refused() {
    let valid = conf(json!({ "subnet": "10.1.1.0/24" })).to_string();
    let with_type = |key: &str, value: &str| {
        format!(
            r#"{{"cniVersion":"0.4.0","name":"net","ipam":{{"dataDir":"{{dataDir}}","subnet":"10.1.1.0/24"}},"{key}":{value}}}"#
        )
    };
    let texts = [
        ("nothing", String::new(), "empty: a JSON object is expected"),
        (
            "white space",
            " \n".to_owned(),
            "empty: a JSON object is expected",
        ),
        (
            "no JSON",
            "nonsense".to_owned(),
            "expected ident at line 1 column 2",
        ),
        (
            "half of it",
            valid.chars().take(40).collect(),
            "EOF while parsing",
        ),
        (
            "more behind it",
            format!("{valid} x"),
            "trailing characters",
        ),
        (
            "two of it",
            format!("{valid}{valid}"),
            "trailing characters",
        ),
        (
            "a list",
            format!("[{valid}]"),
            "an object is expected, not an array",
        ),
        (
            "a text",
            r#""net""#.to_owned(),
            "an object is expected, not a string",
        ),
        (
            "a comma too many",
            r#"{"name":"net",}"#.to_owned(),
            "trailing comma",
        ),
        ("null", "null".to_owned(), "an object is expected, not null"),
        (
            "an empty object",
            "{}".to_owned(),
            "name of the network configuration: is empty",
        ),
        (
            "a name that is no text",
            with_type("name", "1"),
            "name: invalid type",
        ),
        (
            "a version that is no text",
            with_type("cniVersion", "1.0"),
            "cniVersion: invalid type",
        ),
        (
            "an ipam that is a list",
            with_type("ipam", "[]"),
            "ipam: an object is expected, not an array",
        ),
        (
            "an ipam that is a text",
            with_type("ipam", r#""host-local""#),
            "ipam: an object is expected, not a string",
        ),
        (
            "args that are a list",
            with_type("args", "[]"),
            "args: an object is expected, not an array",
        ),
        (
            "a runtimeConfig that is a number",
            with_type("runtimeConfig", "1"),
            "runtimeConfig: an object is expected",
        ),
    ];
    let cases: Vec<Case> = texts
        .iter()
        .map(|(name, stdin, message)| text(name, stdin).fails(message).leaves(&[]))
        .collect();
    run(&cases);
}
