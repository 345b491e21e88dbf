//! Tests of rendering a delegate's configuration.

use std::fs;
use std::path::Path;

use cni_plugin::Environment;
use cni_types::{Error, NetConf};
use serde_json::Value;

use super::*;
use crate::subnet_env;

/// What flannel makes of a configuration and a subnet.env.
fn rendered(netconf: &str, lease: &Lease) -> Result<Value, Error> {
    let netconf = NetConf::parse(netconf.as_bytes())?;
    let call = cni_plugin::Call {
        conf: &netconf,
        environment: &Environment::default(),
        netns: None,
        log: &cni_plugin::Log::default(),
        bundle: cni_plugin::Bundle::default(),
    };
    let config = Config::of(&call)?;
    let conf = render(&config, &netconf.name, lease)?;
    Ok(serde_json::to_value(&conf).unwrap())
}

/// Each directory of testdata/flannel has a netconf.json, a subnet.env and the expected.json that
/// comes of them.
#[test]
fn fixtures_are_rendered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/flannel/delegate");
    let mut cases = 0;
    for directory in fs::read_dir(&root).unwrap() {
        let directory = directory.unwrap().path();
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        let lease =
            subnet_env::read(&directory.join("subnet.env"), &cni_plugin::Log::default()).unwrap();
        let expected: Value = serde_json::from_str(&read("expected.json")).unwrap();
        assert_eq!(
            rendered(&read("netconf.json"), &lease).unwrap(),
            expected,
            "{}",
            directory.display()
        );
        cases += 1;
    }
    assert_eq!(cases, 9, "cases in {}", root.display());
}

fn lease() -> Lease {
    Lease {
        networks: vec!["10.244.0.0/16".parse().unwrap()],
        subnets: vec!["10.244.1.0/24".parse().unwrap()],
        mtu: 1450,
        ip_masq: true,
        no_room: None,
    }
}

#[test]
fn numbers_keep_their_digits() {
    let netconf = r#"{"name":"n","delegate":{"x":123456789012345678901234567890,"y":1.10},"ipam":{"z":1e400}}"#;
    let netconf = NetConf::parse(netconf.as_bytes()).unwrap();
    let call = cni_plugin::Call {
        conf: &netconf,
        environment: &Environment::default(),
        netns: None,
        log: &cni_plugin::Log::default(),
        bundle: cni_plugin::Bundle::default(),
    };
    let conf = render(&Config::of(&call).unwrap(), &netconf.name, &lease()).unwrap();
    assert_eq!(
        conf.to_json().unwrap(),
        r#"{"x":123456789012345678901234567890,"y":1.10,"name":"n","type":"bridge","ipMasq":false,"mtu":1450,"isGateway":true,"ipam":{"z":1e400,"type":"host-local","ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"10.244.0.0/16"}]}}"#
    );
}

#[test]
fn errors_name_the_key() {
    for (netconf, code, message) in [
        (
            r#"{"name":"n","delegate":[]}"#,
            6,
            "cannot decode the network configuration: delegate: invalid type: sequence, expected \
                an object",
        ),
        (
            r#"{"name":"n","delegate":{"type":5}}"#,
            6,
            "network configuration: delegate.type: invalid type: integer `5`, expected a string",
        ),
        (
            r#"{"name":"n","delegate":{"type":"../bridge"}}"#,
            7,
            r#"network configuration: delegate.type "../bridge" is no plugin type: it must be the bare name of a file in CNI_PATH"#,
        ),
        (
            r#"{"name":"n","delegate":{"Name":"x"}}"#,
            7,
            r#"network configuration: delegate must not have the key "name": flannel sets it"#,
        ),
        (
            r#"{"name":"n","delegate":{"ipam":{}}}"#,
            7,
            r#"network configuration: delegate must not have the key "ipam": flannel sets it"#,
        ),
        (
            r#"{"name":"n","ipam":"host-local"}"#,
            6,
            "cannot decode the network configuration: ipam: invalid type: string \"host-local\", \
                expected an object",
        ),
        (
            r#"{"name":"n","ipam":{"routes":[{"dst":"10.0.0.0/8"},{"dst":"x"}]}}"#,
            6,
            r#"network configuration: ipam.routes[1].dst: "x" is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64"#,
        ),
        (
            r#"{"name":"n","subnetFile":7}"#,
            6,
            "cannot decode the network configuration: subnetFile: invalid type: integer `7`, \
                expected a string",
        ),
    ] {
        let error = rendered(netconf, &lease()).unwrap_err();
        assert_eq!((error.code.0, error.msg.as_str()), (code, message));
    }
}
