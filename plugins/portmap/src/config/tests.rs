use super::*;

fn config(keys: &str) -> Result<Config, (u32, String)> {
    let text = format!(r#"{{"cniVersion":"1.0.0","name":"cbr0",{keys}}}"#);
    let conf = NetConf::parse(text.as_bytes()).unwrap();
    Config::of(&conf).map_err(|error| (error.code.0, error.msg))
}

fn mappings(list: &str) -> Result<Vec<PortMapping>, (u32, String)> {
    let keys = format!(r#""RuntimeConfig":{{"portMappings":{list}}}"#);
    config(&keys).map(|config| config.mappings)
}

#[test]
fn nothing_is_needed() {
    for keys in [
        r#""type":"portmap""#,
        r#""snat":true,"backend":"nftables","masqAll":false,"conditionsV4":null"#,
        r#""runtimeConfig":{}"#,
        r#""runtimeConfig":{"portMappings":null},"snat":null,"externalSetMarkChain":"""#,
        r#""runtimeConfig":{"portMappings":[]},"conditionsV6":[]"#,
        r#""markMasqBit":31"#,
        r#""externalSetMarkChain":"KUBE-MARK-MASQ""#,
    ] {
        let config = config(keys).unwrap();
        assert_eq!(config.snat, Snat::WhereNeeded, "{keys}");
        assert_eq!(config.mappings, [], "{keys}");
        let backend = BackendOptions::Nftables(Box::new([None, None]));
        assert_eq!(config.backend, backend, "{keys}");
    }
}

#[test]
fn snat_and_masq_all() {
    for (keys, snat) in [
        (r#""snat":false"#, Snat::Off),
        (r#""snat":false,"masqAll":true"#, Snat::Off),
        (r#""masqAll":true"#, Snat::All),
    ] {
        assert_eq!(config(keys).unwrap().snat, snat, "{keys}");
    }
}

// The keys as kubelet, containerd, podman and nerdctl write them.
#[test]
fn mappings_as_runtimes_send_them() {
    let ip = |text: &str| Some(text.parse().unwrap());
    for (list, expected) in [
        (
            r#"[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]"#,
            (firewall::Transport::Tcp, None, 8080, 80),
        ),
        (
            r#"[{"HostPort":1,"ContainerPort":65535,"Protocol":"UDP","HostIP":""}]"#,
            (firewall::Transport::Udp, None, 1, 65_535),
        ),
        (
            r#"[{"hostPort":65535,"containerPort":1,"protocol":"Sctp","hostIP":"fd00::1"}]"#,
            (firewall::Transport::Sctp, ip("fd00::1"), 65_535, 1),
        ),
        (
            r#"[{"hostPort":80,"containerPort":80,"hostIP":"::ffff:192.0.2.1","x":1}]"#,
            (firewall::Transport::Tcp, ip("192.0.2.1"), 80, 80),
        ),
        (
            r#"[{"hostPort":80,"containerPort":80,"protocol":"","hostIP":"0.0.0.0"}]"#,
            (firewall::Transport::Tcp, ip("0.0.0.0"), 80, 80),
        ),
    ] {
        let (protocol, host_ip, host_port, container_port) = expected;
        let expected = PortMapping {
            protocol,
            host_ip,
            host_port,
            container_port,
        };
        assert_eq!(mappings(list), Ok(vec![expected]), "{list}");
    }
}

#[test]
fn errors_name_the_mapping() {
    let second = |keys: &str| {
        mappings(&format!(
            r#"[{{"hostPort":80,"containerPort":8080}},{{{keys}}}]"#
        ))
    };
    let named = |ports: &str, rest: &str| {
        let mapping = format!("runtimeConfig.portMappings[1] ({ports})");
        Err((7, format!("{mapping}{rest}")))
    };
    for (keys, ports, rest) in [
        (
            r#""hostPort":65536,"containerPort":1"#,
            "hostPort 65536 to containerPort 1",
            ": hostPort 65536 is no port: ports are from 1 to 65535",
        ),
        (
            r#""hostPort":-1,"containerPort":1"#,
            "hostPort -1 to containerPort 1",
            ": hostPort -1 is no port: ports are from 1 to 65535",
        ),
        (
            r#""hostPort":81,"containerPort":0"#,
            "hostPort 81 to containerPort 0",
            ": containerPort 0 is no port: ports are from 1 to 65535",
        ),
        (
            r#""containerPort":1"#,
            "hostPort none to containerPort 1",
            ": hostPort 0 is no port: ports are from 1 to 65535",
        ),
        (
            r#""hostPort":81,"containerPort":1,"protocol":"icmp""#,
            "hostPort 81 to containerPort 1",
            r#": protocol "icmp" is unknown: use "tcp", "udp" or "sctp""#,
        ),
        (
            r#""hostPort":81,"containerPort":1,"hostIP":"localhost""#,
            "hostPort 81 to containerPort 1",
            r#": hostIP "localhost" is no address"#,
        ),
        (
            r#""hostPort":80,"containerPort":1"#,
            "hostPort 80 to containerPort 1",
            " has the same host port as \
            runtimeConfig.portMappings[0] (hostPort 80 to containerPort 8080): \
            leave one of them out",
        ),
        (
            r#""hostPort":80,"containerPort":8080,"hostIP":"0.0.0.0","protocol":"TCP""#,
            "hostPort 80 to containerPort 8080",
            " has the same host port as \
            runtimeConfig.portMappings[0] (hostPort 80 to containerPort 8080): \
            leave one of them out",
        ),
    ] {
        assert_eq!(second(keys), named(ports, rest), "{keys}");
    }
    let (code, message) = mappings(r#"[{"hostPort":"80"}]"#).unwrap_err();
    assert_eq!(code, 6);
    assert!(
        message.contains("runtimeConfig.portMappings[0].hostPort"),
        "{message}"
    );
    assert_eq!(mappings(r#"{"hostPort":80}"#).unwrap_err().0, 6);
}

#[test]
fn the_same_port_of_other_addresses_is_no_repetition() {
    for list in [
        r#"[{"hostPort":80,"containerPort":80},{"hostPort":80,"containerPort":80,"protocol":"udp"}]"#,
        r#"[{"hostPort":80,"containerPort":80,"hostIP":"0.0.0.0"},
            {"hostPort":80,"containerPort":80,"hostIP":"::"}]"#,
        r#"[{"hostPort":80,"containerPort":80},
            {"hostPort":80,"containerPort":81,"hostIP":"192.0.2.1"}]"#,
    ] {
        assert_eq!(mappings(list).unwrap().len(), 2, "{list}");
    }
}

#[test]
fn other_keys_that_make_no_sense() {
    for (keys, code, message) in [
        (
            r#""markMasqBit":32"#,
            7,
            "markMasqBit 32 is no bit of a mark: bits are from 0 to 31",
        ),
        (
            r#""markMasqBit":1,"externalSetMarkChain":"X""#,
            7,
            "markMasqBit and externalSetMarkChain exclude each other: leave one of them out",
        ),
        (
            r#""backend":"ebtables""#,
            7,
            r#"backend "ebtables" is unknown: use "nftables" or "iptables""#,
        ),
        (
            r#""externalSetMarkChain":"A\nB""#,
            7,
            r#"externalSetMarkChain "A\nB" is no name of a chain of iptables"#,
        ),
        (
            r#""conditionsV4":["ip saddr 10.0.0.0/8","drop"]"#,
            2,
            r#"conditionsV4: "drop" is not supported in "ip saddr 10.0.0.0/8 drop": supported are "ip saddr" and "ip daddr" (IPv6: "ip6") with addresses and networks, and "iifname" with names, each with "!=" and with sets in braces"#,
        ),
    ] {
        assert_eq!(config(keys), Err((code, message.to_owned())), "{keys}");
    }
    for keys in [r#""snat":"no""#, r#""conditionsV4":"x""#, r#""masqAll":1"#] {
        assert_eq!(config(keys).unwrap_err().0, 6, "{keys}");
    }
}

#[test]
fn keys_of_the_backend_iptables() {
    let options = |keys: &str| match config(&format!(r#""backend":"iptables",{keys}"#)) {
        Ok(Config {
            backend: BackendOptions::Iptables(options),
            ..
        }) => Ok((options.mark, options.conditions4.to_string())),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let chain = FwMark::Chain("KUBE-MARK-MASQ".to_owned());
    for (keys, expected) in [
        (r#""snat":true"#, (FwMark::Bit(13), "")),
        (r#""markMasqBit":0"#, (FwMark::Bit(0), "")),
        (r#""externalSetMarkChain":"KUBE-MARK-MASQ""#, (chain, "")),
        (
            r#""conditionsV4":["!","-d","192.0.2.0/24"]"#,
            (FwMark::Bit(13), "! -d 192.0.2.0/24 "),
        ),
    ] {
        let (mark, conditions) = expected;
        assert_eq!(options(keys), Ok((mark, conditions.to_owned())), "{keys}");
    }
    let (code, message) = options(r#""conditionsV4":["ip","saddr","10.0.0.0/8"]"#).unwrap_err();
    assert_eq!(code, 2);
    assert!(
        message.starts_with(r#"conditionsV4: "ip" is not supported in "ip saddr 10.0.0.0/8""#),
        "{message}"
    );
    // Without the key, the Go plugin takes iptables for them.
    let (code, message) = config(r#""conditionsV4":["!","-d","10.0.0.0/8"]"#).unwrap_err();
    assert_eq!(code, 2);
    let advice = r#"; for conditions of iptables, set "backend" to "iptables""#;
    assert!(message.ends_with(advice), "{message}");
}

#[test]
fn the_containers_addresses() {
    let addresses = |previous: &str| {
        let keys = format!(r#""prevResult":{previous}"#);
        let text = format!(r#"{{"cniVersion":"1.0.0","name":"cbr0",{keys}}}"#);
        let conf = NetConf::parse(text.as_bytes()).unwrap();
        let attachment = Attachment {
            container_id: "c1".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let config = Config::of(&conf).unwrap();
        let addresses = config.addresses_in_prev_result(&conf, &attachment).unwrap();
        addresses
            .iter()
            .map(IpNetwork::to_string)
            .collect::<Vec<_>>()
    };
    let interfaces = r#""interfaces":[{"name":"eth0"},{"name":"net1","sandbox":"/n"},
        {"name":"eth0","sandbox":"/n"}]"#;
    for (ips, expected) in [
        (r#"[{"address":"10.1.0.2/24"}]"#, &["10.1.0.2/24"][..]),
        (
            r#"[{"address":"10.1.0.1/24","interface":0},{"address":"10.1.0.2/24","interface":1},
                {"address":"10.1.0.3/24","interface":2},{"address":"10.1.0.4/24","interface":2},
                {"address":"fd00::2/64","interface":2}]"#,
            &["10.1.0.3/24", "fd00::2/64"],
        ),
        (
            r#"[{"address":"10.1.0.1/24","interface":7},{"address":"fd00::2/64","interface":-1}]"#,
            &["10.1.0.1/24", "fd00::2/64"],
        ),
        (r#"[{"address":"10.1.0.1/24","interface":1}]"#, &[]),
        ("[]", &[]),
    ] {
        assert_eq!(
            addresses(&format!(r#"{{{interfaces},"ips":{ips}}}"#)),
            expected,
            "{ips}"
        );
    }
}
