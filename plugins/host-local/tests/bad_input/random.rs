//! Property tests: for any input, the answer is nothing or one JSON object, and only the data
//! directory changes.

use std::cell::Cell;

use cni_plugin::{Environment, Request, dispatch};
use cni_types::NetworkName;
use proptest::prelude::*;
use serde_json::{Value, json};
use twill_host_local::HOST_LOCAL;

use crate::directory::{Contents, contents};
use crate::network::Network;

/// A network name that no machine has, because without `dataDir` the plugin uses the machine's own.
const NAME: &str = "network-of-random-input";

/// Values that are wrong for most keys, and right for some.
fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        prop::sample::select(vec![
            "",
            "x",
            "..",
            "../outside",
            "/",
            "\0",
            "1.0.0",
            "0.2.0",
            "10.1.1.0/24",
            "10.1.1.9",
            "10.1.1.1",
            "10.1.1.255",
            "10.1.1.9/24",
            "10.1.2.0/31",
            "203.0.113.1/24",
            "fd00::/64",
            "fd00::9",
            "::ffff:10.1.1.9",
            "0.0.0.0/0",
            "::/0",
            "255.255.255.255",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    let leaf = prop_oneof![
        4 => text.prop_map(Value::String),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(
                prop::sample::select(vec![
                    "subnet",
                    "rangeStart",
                    "RANGEEND",
                    "gateway",
                    "dst",
                    "gw",
                    "mtu",
                    "cni",
                    "ips",
                    "ipRanges",
                    "address",
                ]),
                inner,
                0..4,
            )
            .prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

/// An object with these keys. Each usually has its own value, sometimes another one, and is absent
/// with a probability of `absent` to 10.
fn object(absent: u32, keys: &[(&'static str, Value)]) -> impl Strategy<Value = Value> + use<> {
    let entries: Vec<_> = keys
        .iter()
        .cloned()
        .map(|(key, own)| {
            let value = prop_oneof![
                10 => Just(Some(own)),
                absent => Just(None),
                1 => value().prop_map(Some),
            ];
            value.prop_map(move |value| value.map(|value| (key.to_owned(), value)))
        })
        .collect();
    entries.prop_map(|entries| Value::Object(entries.into_iter().flatten().collect()))
}

/// A nearly valid configuration. If it has `ipam`, its data directory is the test's.
fn conf(data_dir: String) -> impl Strategy<Value = Vec<u8>> {
    let ipam = object(
        10,
        &[
            ("subnet", json!("10.1.1.0/24")),
            ("rangeStart", json!("10.1.1.8")),
            ("rangeEnd", json!("10.1.1.250")),
            ("gateway", json!("10.1.1.254")),
            (
                "ranges",
                json!([[{ "subnet": "fd00::/64" }], [{ "subnet": "10.1.2.0/24" }]]),
            ),
            ("routes", json!([{ "dst": "0.0.0.0/0" }])),
            ("resolvConf", json!("/dev/null")),
        ],
    );
    let always = object(1, &[("cniVersion", json!("1.1.0")), ("name", json!(NAME))]);
    let others = object(
        10,
        &[
            ("args", json!({ "cni": { "ips": [] } })),
            (
                "runtimeConfig",
                json!({ "ips": [], "ipRanges": [[{ "subnet": "10.1.3.0/24" }]] }),
            ),
            (
                "prevResult",
                json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.1.1.9/24" }] }),
            ),
        ],
    );
    (ipam, always, others, 0..20u8).prop_map(move |(mut ipam, mut conf, others, shape)| {
        for (key, value) in others.as_object().unwrap() {
            conf[key] = value.clone();
        }
        ipam["dataDir"] = data_dir.as_str().into();
        conf["ipam"] = match shape {
            0 => "host-local".into(),
            1 => json!([ipam]),
            _ => ipam,
        };
        conf.to_string().into_bytes()
    })
}

/// A valid configuration with some changed bytes outside of the data directory's name.
fn damaged(data_dir: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let kept = format!("\"dataDir\":{}", json!(data_dir)).into_bytes();
    let before = format!("{{\"cniVersion\":\"1.0.0\",\"name\":\"{NAME}\",\"ipam\":{{");
    let after =
        br#","subnet":"10.1.1.0/24","ranges":[[{"subnet":"fd00::/64","rangeStart":"fd00::8"}]],
        "routes":[{"dst":"0.0.0.0/0","gw":"10.1.1.1"}]}}"#;
    let change = (
        any::<prop::sample::Index>(),
        prop_oneof![b' '..=b'~', any::<u8>()],
        0..3u8,
    );
    let damage = |text: &[u8], changes: &[(prop::sample::Index, u8, u8)]| {
        let mut text = text.to_vec();
        for (index, byte, kind) in changes {
            let index = index.index(text.len());
            match kind {
                0 => text[index] = *byte,
                1 => text.insert(index, *byte),
                _ => drop(text.remove(index)),
            }
        }
        text
    };
    let changes = prop::collection::vec(change, 0..2);
    (changes.clone(), changes).prop_map(move |(first, second)| {
        [
            damage(before.as_bytes(), &first),
            kept.clone(),
            damage(after, &second),
        ]
        .concat()
    })
}

const CONTAINERS: [&str; 12] = [
    "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "held0", "held.a",
];

fn request(data_dir: &str) -> impl Strategy<Value = Request> + use<> {
    let stdin = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..80),
        1 => r#"(\{|\}|\[|\]|"|:|,|"name"|"a/b"|"ipam"|null|0|  |"\\u00)"{0,20}"#.prop_map(String::into_bytes),
        5 => conf(data_dir.to_owned()),
        5 => damaged(data_dir),
    ];
    let variable = |good: &[&'static str]| {
        let good = prop::sample::select(good.to_vec()).prop_map(str::to_owned);
        prop_oneof![40 => good, 1 => Just(String::new()), 1 => "\\PC{0,20}", 1 => "[./a]{0,6}"]
    };
    let variables = (
        variable(&[
            "ADD", "ADD", "ADD", "ADD", "DEL", "DEL", "CHECK", "GC", "STATUS", "VERSION",
        ]),
        variable(&CONTAINERS),
        variable(&["eth0", "net1"]),
        variable(&["/run/netns/none"]),
        variable(&["/opt/cni/bin"]),
        variable(&[
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "IP=10.1.1.78",
            "IP=fd00::1",
            "IgnoreUnknown=1;A=1",
            "A=1",
        ]),
    );
    (variables, stdin).prop_map(|((command, container, ifname, netns, path, args), stdin)| {
        let environment: Environment = [
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", container),
            ("CNI_IFNAME", ifname),
            ("CNI_NETNS", netns),
            ("CNI_PATH", path),
            ("CNI_ARGS", args),
        ]
        .into_iter()
        .collect();
        Request { environment, stdin }
    })
}

/// The contents of the temporary directory without the data directory.
fn outside(contents: &Contents) -> Contents {
    contents
        .iter()
        .filter(|(path, _)| !path.starts_with("data/"))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn is_state(path: &str) -> bool {
    let Some((network, file)) = path.split_once('/') else {
        return path.parse::<NetworkName>().is_ok();
    };
    let is_address = || {
        file.parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.to_string() == file)
    };
    let is_last = || {
        file.strip_prefix("last_reserved_ip.")
            .is_some_and(|set| set.parse::<usize>().is_ok())
    };
    network.parse::<NetworkName>().is_ok() && (file == "lock" || is_address() || is_last())
}

#[test]
fn any_input_gets_one_answer() {
    let network = Network::new();
    network.write(&format!("data/{NAME}/10.1.1.2"), "held\r\neth0");
    let data_dir = network.path().join("data").to_str().unwrap().to_owned();
    let before = outside(&contents(network.path()));
    let (adds, failures) = (Cell::new(0), Cell::new(0));
    let count =
        |counter: &Cell<u32>, happened: bool| counter.set(counter.get() + u32::from(happened));

    let config = ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ran = runner.run(&request(&data_dir), |request| {
        let reply = dispatch(&HOST_LOCAL, &request);
        if !reply.stdout.is_empty() {
            let answer: Value = serde_json::from_str(&reply.stdout).unwrap();
            count(&adds, answer["ips"].is_array() || answer["ip4"].is_object());
            count(&failures, reply.failed);
            prop_assert!(reply.stdout.ends_with("}\n"), "{}", reply.stdout);
            prop_assert_eq!(reply.stdout.matches('\n').count(), 1);
            prop_assert_eq!(answer["code"].is_u64(), reply.failed);
            prop_assert_eq!(
                answer["msg"].as_str().is_some_and(|msg| !msg.is_empty()),
                reply.failed
            );
        } else {
            prop_assert!(!reply.failed);
        }
        let after = contents(network.path());
        prop_assert_eq!(&outside(&after), &before);
        let held = &after[&format!("data/{NAME}/10.1.1.2")];
        prop_assert_eq!(held.as_deref(), Some("held\\r\\neth0"));
        for path in after.keys().filter_map(|path| path.strip_prefix("data/")) {
            prop_assert!(is_state(path), "{path} is in the data directory");
        }
        Ok(())
    });
    if let Err(failed) = ran {
        panic!("{failed}");
    }
    // Some of the calls must succeed, or the input is too wild.
    let (adds, failures) = (adds.into_inner(), failures.into_inner());
    assert!(
        adds > 20 && failures > 100,
        "{adds} ADDs and {failures} failures"
    );
}
