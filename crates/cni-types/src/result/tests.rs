//! Tests of results in all versions.

use ipnetwork::IpNetwork;

use super::*;

fn cidr(text: &str) -> IpNetwork {
    crate::parse_cidr(text).unwrap()
}

/// A result that uses everything.
fn full() -> AddResult {
    AddResult {
        interfaces: vec![
            Interface {
                name: "cni0".into(),
                mac: Some("00:11:22:33:44:55".into()),
                ..Interface::default()
            },
            Interface {
                name: "eth0".into(),
                mtu: Some(1450),
                sandbox: Some("/run/netns/a".into()),
                pci_id: Some("0000:00:1f.6".into()),
                ..Interface::default()
            },
        ],
        ips: vec![
            IpConfig {
                interface: Some(1),
                address: cidr("10.1.0.2/24"),
                gateway: "10.1.0.1".parse().ok(),
            },
            IpConfig {
                interface: Some(1),
                address: cidr("10.2.0.2/24"),
                gateway: None,
            },
            IpConfig {
                interface: Some(1),
                address: cidr("fd00::2/64"),
                gateway: "fd00::1".parse().ok(),
            },
        ],
        routes: vec![
            Route {
                mtu: Some(1400),
                table: Some(0),
                ..Route::to(cidr("0.0.0.0/0"))
            },
            Route {
                gw: "fd00::9".parse().ok(),
                ..Route::to(cidr("fd01::1/48"))
            },
        ],
        dns: Dns {
            nameservers: vec!["10.1.0.1".into()],
            domain: Some("local".into()),
            ..Dns::default()
        },
    }
}

#[test]
fn a_result_is_encoded_in_every_version() {
    let interfaces_1_1 = r#""interfaces":[{"name":"cni0","mac":"00:11:22:33:44:55"},{"name":"eth0","mtu":1450,"sandbox":"/run/netns/a","pciID":"0000:00:1f.6"}]"#;
    let interfaces_0_3 = r#""interfaces":[{"name":"cni0","mac":"00:11:22:33:44:55"},{"name":"eth0","sandbox":"/run/netns/a"}]"#;
    let ips_1_0 = r#""ips":[{"interface":1,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"interface":1,"address":"10.2.0.2/24"},{"interface":1,"address":"fd00::2/64","gateway":"fd00::1"}]"#;
    let ips_0_3 = r#""ips":[{"version":"4","interface":1,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"4","interface":1,"address":"10.2.0.2/24"},{"version":"6","interface":1,"address":"fd00::2/64","gateway":"fd00::1"}]"#;
    let routes = r#""routes":[{"dst":"0.0.0.0/0","mtu":1400,"table":0},{"dst":"fd01::1/48","gw":"fd00::9"}]"#;
    let dns = r#""dns":{"nameservers":["10.1.0.1"],"domain":"local"}"#;
    for version in Version::ALL {
        let expected = match version {
            Version::V0_1_0 | Version::V0_2_0 => format!(
                r#"{{"cniVersion":"{version}","ip4":{{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{{"dst":"0.0.0.0/0"}}]}},"ip6":{{"ip":"fd00::2/64","gateway":"fd00::1","routes":[{{"dst":"fd01::1/48","gw":"fd00::9"}}]}},{dns}}}"#
            ),
            Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => {
                format!(r#"{{"cniVersion":"{version}",{interfaces_0_3},{ips_0_3},{routes},{dns}}}"#)
            }
            Version::V1_0_0 | Version::V1_1_0 => {
                format!(r#"{{"cniVersion":"{version}",{interfaces_1_1},{ips_1_0},{routes},{dns}}}"#)
            }
        };
        assert_eq!(full().encode(version).unwrap(), expected);
    }
}

#[test]
fn an_empty_result_is_encoded() {
    let empty = AddResult::default();
    assert_eq!(
        empty.encode(Version::V1_0_0).unwrap(),
        r#"{"cniVersion":"1.0.0"}"#
    );
    assert_eq!(
        empty.encode(Version::V0_4_0).unwrap(),
        r#"{"cniVersion":"0.4.0","dns":{}}"#
    );
    assert_eq!(
        empty.encode(Version::V0_2_0),
        Err(Error::new(
            Code::INCOMPATIBLE_VERSION,
            "a result without addresses cannot be expressed in cniVersion 0.2.0"
        ))
    );
}

#[test]
fn results_of_every_version_are_decoded() {
    for version in Version::ALL {
        let text = full().encode(version).unwrap();
        // What a version cannot say is gone after the first encoding; the second must lose nothing.
        let decoded = AddResult::decode(&text, Version::LATEST).unwrap();
        assert_eq!(decoded.encode(version).unwrap(), text);
        if version == Version::V1_1_0 {
            assert_eq!(decoded, full());
        }
    }
}

#[test]
fn a_result_without_a_version_counts_as_the_configurations_version() {
    let text = r#"{"ip4":{"ip":"10.1.0.2/24"}}"#;
    let decoded = AddResult::decode(text, Version::V0_1_0).unwrap();
    assert_eq!(decoded.ips[0].address, cidr("10.1.0.2/24"));
    assert_eq!(
        AddResult::decode(text, Version::V1_0_0).unwrap(),
        AddResult::default()
    );
}

#[test]
fn keys_of_results_are_decoded_as_by_go() {
    let text = r#"{"CNIVersion":"1.0.0","IPs":[{"Address":"10.1.0.2/24","gateway":"","interface":null}],"routes":null}"#;
    let decoded = AddResult::decode(text, Version::LATEST).unwrap();
    assert_eq!(
        decoded.ips,
        [IpConfig {
            interface: None,
            address: cidr("10.1.0.2/24"),
            gateway: None
        }]
    );
}

#[test]
fn invalid_results_are_refused() {
    for (text, message) in [
        ("", "empty: a JSON object is expected"),
        (
            r#"{"cniVersion":"7"}"#,
            r#"cniVersion: "7" is not a supported version of the CNI specification"#,
        ),
        (
            r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2"}]}"#,
            r#"ips[0].address: "10.1.0.2" is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64"#,
        ),
        (
            r#"{"cniVersion":"1.0.0","ips":[{}]}"#,
            "ips[0]: missing field `address`",
        ),
        (
            r#"{"cniVersion":"0.2.0","ip6":{"ip":"x"}}"#,
            r#"ip6.ip: "x" is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64"#,
        ),
    ] {
        assert_eq!(
            AddResult::decode(text, Version::LATEST)
                .unwrap_err()
                .to_string(),
            message
        );
    }
}

#[test]
fn a_result_in_the_right_version_is_passed_on_as_it_is() {
    let text = r#"{"new":{"a":12345678901234567890123},"ips":[{"address":"10.1.0.2/24","x":1}],"cniVersion":"1.0.0"}"#;
    assert_eq!(AddResult::pass_on(text, Version::V1_0_0).unwrap(), text);
    assert_eq!(
        AddResult::pass_on(r#"{"x":1}"#, Version::V1_0_0).unwrap(),
        r#"{"x":1,"cniVersion":"1.0.0"}"#
    );
}

#[test]
fn a_result_in_another_version_is_converted() {
    let text =
        r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24","routes":[{"dst":"0.0.0.0/0"}]},"x":1}"#;
    assert_eq!(
        AddResult::pass_on(text, Version::V1_0_0).unwrap(),
        r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/24"}],"routes":[{"dst":"0.0.0.0/0"}],"x":1}"#
    );
    assert_eq!(
        AddResult::pass_on(r#"{"cniVersion":"1.0.0"}"#, Version::V0_2_0)
            .unwrap_err()
            .to_string(),
        "a result without addresses cannot be expressed in cniVersion 0.2.0"
    );
}
