//! Tests of lists.

use super::*;

fn message(text: &str) -> String {
    NetworkList::parse(text).unwrap_err().to_string()
}

fn version(text: &str) -> Result<Version, String> {
    let list = format!(r#"{{"name": "n", {text} "plugins": [{{"type": "x"}}]}}"#);
    NetworkList::parse(&list)
        .map(|list| list.version)
        .map_err(|error| error.to_string())
}

#[test]
fn a_list_is_read() {
    let text = r#"{
        "cniVersion": "1.0.0", "name": "cbr0", "disableCheck": true, "disableGC": "False",
        "plugins": [
            {"type": "flannel", "delegate": {"n": 1e400}},
            {"type": "portmap", "capabilities": {"portMappings": true, "ips": false}}
        ]
    }"#;
    let list = NetworkList::parse(text).unwrap();
    assert_eq!(
        (list.name.as_str(), list.version),
        ("cbr0", Version::V1_0_0)
    );
    assert!(list.disable_check && !list.disable_gc && !list.load_only_inlined_plugins);
    let types: Vec<_> = list
        .plugins
        .iter()
        .map(|it| it.plugin_type.as_str())
        .collect();
    assert_eq!(types, ["flannel", "portmap"]);
    assert_eq!(list.plugins[0].capabilities, [""; 0]);
    assert_eq!(list.plugins[1].capabilities, ["portMappings"]);
    assert_eq!(
        list.plugins[0].conf.get("delegate"),
        Some(r#"{"n": 1e400}"#)
    );
    assert_eq!(list.as_json(), text);
}

#[test]
fn the_latest_version_that_is_supported_is_selected() {
    for (text, expected) in [
        ("", Version::V0_1_0),
        (r#""cniVersion": "","#, Version::V0_1_0),
        (r#""cniVersion": "0.3.1","#, Version::V0_3_1),
        (
            r#""cniVersion": "1.0.0", "cniVersions": ["0.3.1", "1.0.0", "1.1.0"],"#,
            Version::V1_1_0,
        ),
        // A runtime of today does not know tomorrow's versions.
        (
            r#""cniVersions": ["0.4.0", "1.2.0", "2.0.0"],"#,
            Version::V0_4_0,
        ),
        (
            r#""cniVersion": "1.0.0", "cniVersions": ["0.4.0"],"#,
            Version::V1_0_0,
        ),
        (
            r#""cniVersion": "9.0.0", "cniVersions": ["0.4.0"],"#,
            Version::V0_4_0,
        ),
        (r#""cniVersions": [],"#, Version::V0_1_0),
    ] {
        assert_eq!(version(text), Ok(expected), "{text}");
    }
    let supported = "set cniVersion to one of 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0";
    assert_eq!(
        version(r#""cniVersion": "1.2.0", "cniVersions": ["2.0.0"],"#),
        Err(format!(
            r#"cniVersion: none of "2.0.0", "1.2.0" is supported: {supported}"#
        ))
    );
    assert_eq!(
        version(r#""cniVersion": "9","#),
        Err(format!(
            r#"cniVersion: none of "9" is supported: {supported}"#
        ))
    );
}

#[test]
fn mistakes_name_the_key() {
    for (text, expected) in [
        ("", "empty: a JSON object is expected"),
        (
            r#"{"plugins": [{"type": "x"}]}"#,
            "name is missing: a list of plugins needs the network's name",
        ),
        (
            r#"{"name": 1}"#,
            "name: invalid type: integer `1`, expected a string",
        ),
        (
            r#"{"name": "a/b", "plugins": [{"type": "x"}]}"#,
            r#"name "a/b" has invalid characters: allowed are letters and digits, then also "_", "." and "-""#,
        ),
        (
            r#"{"name": "n", "plugins": []}"#,
            "plugins is missing or empty: a list needs at least one plugin",
        ),
        (
            r#"{"name": "n", "loadOnlyInlinedPlugins": true}"#,
            "plugins is missing or empty: a list needs at least one plugin",
        ),
        (
            r#"{"name": "n", "plugins": {}}"#,
            "plugins: invalid type: map, expected a sequence",
        ),
        (
            r#"{"name": "n", "plugins": [{"type": "x"}, {"ipam": {}}]}"#,
            "plugins[1].type is missing: it names the plugin's file in CNI_PATH",
        ),
        (
            r#"{"name": "n", "plugins": [{"type": "../x"}]}"#,
            r#"plugins[0].type "../x" is no plugin type: it must be the bare name of a file in CNI_PATH"#,
        ),
        (
            r#"{"name": "n", "plugins": [{"type": "x", "capabilities": {"ips": 1}}]}"#,
            "plugins[0].capabilities.ips: invalid type: integer `1`, expected a boolean",
        ),
        (
            r#"{"name": "n", "disableCheck": "yes", "plugins": [{"type": "x"}]}"#,
            r#"disableCheck: "yes" is neither true nor false"#,
        ),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
}

#[test]
fn a_single_plugin_is_a_list_of_one() {
    let text = r#"{"name": "n", "cniVersion": "0.4.0", "type": "bridge", "mtu": 1400}"#;
    let list = NetworkList::of_single(text).unwrap();
    assert_eq!((list.name.as_str(), list.version), ("n", Version::V0_4_0));
    assert_eq!(list.plugins[0].conf.get("mtu"), Some("1400"));
    let wrapped = NetworkList::parse(list.as_json()).unwrap();
    assert_eq!(wrapped.plugins[0].plugin_type.as_str(), "bridge");
    assert!(NetworkList::of_single(r#"{"name": "n"}"#).is_err());
}
