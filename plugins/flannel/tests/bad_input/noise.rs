//! Property tests: any input gets an answer, one JSON error or a success.

use std::fs;
use std::path::Path;

use cni_plugin::{Reply, Request, dispatch};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use twill_flannel::FLANNEL;

use crate::COMMANDS;
use crate::desk::SUBNET_ENV;

/// A directory with a lease, and an empty directory for `CNI_PATH`. No delegate is found, so
/// nothing is kept.
fn directory() -> TempDir {
    let directory = TempDir::with_prefix("twill-flannel-").unwrap();
    fs::write(directory.path().join("subnet.env"), SUBNET_ENV).unwrap();
    fs::create_dir(directory.path().join("plugins")).unwrap();
    directory
}

fn netconf(directory: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "n",
        "subnetFile": directory.join("subnet.env"),
        "subnetFileWait": 0,
        "dataDir": directory.join("kept"),
        "delegate": {"type": "bridge", "mtu": 1400},
        "ipam": {"routes": [{"dst": "10.0.0.0/8", "gw": "10.0.0.1"}]},
        "runtimeConfig": {"mac": "02:00:00:00:00:01"},
        "prevResult": {"cniVersion": "1.0.0"},
    })
}

fn answer(directory: &Path, command: &str, stdin: Vec<u8>) -> Reply {
    let plugins = directory.join("plugins");
    let variables = [
        ("CNI_COMMAND", command),
        ("CNI_CONTAINERID", "twill-noise"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_NETNS", "/nowhere"),
        ("CNI_PATH", plugins.to_str().unwrap()),
    ];
    let environment = variables.into_iter().collect();
    dispatch(&FLANNEL, &Request { environment, stdin })
}

#[track_caller]
fn assert_orderly(directory: &Path, command: &str, reply: &Reply) {
    assert_eq!(reply.stderr, "");
    if reply.failed {
        let error: Map<String, Value> = serde_json::from_str(&reply.stdout).unwrap();
        let code = error["code"].as_u64().unwrap();
        assert!(
            [1, 5, 6, 7, 11, 100, 120].contains(&code),
            "{}",
            reply.stdout
        );
        assert!(
            error["msg"].as_str().is_some_and(|msg| !msg.is_empty()),
            "{}",
            reply.stdout
        );
        assert!(reply.stdout.len() < 20_000, "{} bytes", reply.stdout.len());
    } else {
        assert_eq!((command, &*reply.stdout), ("DEL", ""));
    }
    assert!(!directory.join("kept").exists());
}

fn assert_answers(directory: &Path, stdin: &[u8]) {
    for command in COMMANDS {
        assert_orderly(
            directory,
            command,
            &answer(directory, command, stdin.to_owned()),
        );
    }
}

/// Any JSON, with keys that flannel reads and others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[./a-z]{0,6}".prop_map(Value::from),
        "(10|fd00:|0)[0-9a-f.:/]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            any_object(inner),
        ]
    })
}

fn any_object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let key = prop_oneof![3 => "type|Type|name|ipam|routes|dst|gw|mtu", 1 => "\\PC{0,6}"];
    let pairs = prop::collection::vec((key, value), 0..4);
    pairs.prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

#[derive(Clone, Debug)]
struct Edit {
    place: prop::sample::Index,
    removed: usize,
    inserted: Vec<u8>,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let inserted = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        "[\\[\\]{}\",:=/#'\\\\\n\r0-9 ]{0,4}".prop_map(String::into_bytes),
    ];
    let edit = (any::<prop::sample::Index>(), 0..4_usize, inserted);
    let edit = edit.prop_map(|(place, removed, inserted)| Edit {
        place,
        removed,
        inserted,
    });
    prop::collection::vec(edit, 1..5)
}

fn edited(text: &str, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_owned();
    for edit in edits {
        let start = edit.place.index(bytes.len() + 1);
        let end = (start + edit.removed).min(bytes.len());
        bytes.splice(start..end, edit.inserted.iter().copied());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(192)
    })]

    #[test]
    fn bytes_as_a_configuration(stdin in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_answers(directory().path(), &stdin);
    }

    #[test]
    fn a_configuration_with_bytes_changed(edits in edits()) {
        let directory = directory();
        let netconf = netconf(directory.path()).to_string();
        let start = netconf.strip_suffix('}').unwrap();
        // The last of equal keys counts, so no change leads to the machine's own directory.
        let kept = json!(directory.path().join("kept"));
        let end = format!(r#","dataDir":{kept},"subnetFileWait":0}}"#);
        assert_answers(directory.path(), &[edited(start, &edits), end.into_bytes()].concat());
    }

    #[test]
    fn a_configuration_with_values_changed(
        key in "cniVersion|name|subnetFile|delegate|ipam|runtimeConfig|prevResult|args|dns",
        value in any_json(),
    ) {
        let directory = directory();
        let mut netconf = netconf(directory.path());
        netconf[key] = value;
        assert_answers(directory.path(), netconf.to_string().as_bytes());
    }

    #[test]
    fn objects_with_values_changed(
        key in "delegate|ipam",
        value in any_object(any_json()),
    ) {
        let directory = directory();
        let mut netconf = netconf(directory.path());
        netconf[key] = value;
        assert_answers(directory.path(), netconf.to_string().as_bytes());
    }

    #[test]
    fn bytes_as_a_lease(lease in prop::collection::vec(any::<u8>(), 0..200)) {
        let directory = directory();
        fs::write(directory.path().join("subnet.env"), lease).unwrap();
        assert_answers(directory.path(), netconf(directory.path()).to_string().as_bytes());
    }

    #[test]
    fn a_lease_with_bytes_changed(edits in edits()) {
        let directory = directory();
        fs::write(directory.path().join("subnet.env"), edited(SUBNET_ENV, &edits)).unwrap();
        assert_answers(directory.path(), netconf(directory.path()).to_string().as_bytes());
    }
}
