//! Tests of reading configurations.

use cni_plugin::Environment;
use cni_types::NetConf;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Does something with a call that has this configuration and these `CNI_ARGS`.
fn with_call<T>(conf: &Value, args: &str, look: impl FnOnce(&Call<'_>) -> T) -> T {
    let text = conf.to_string();
    let environment: Environment = [("CNI_ARGS", args)].into_iter().collect();
    look(&Call {
        netns: None,
        conf: &NetConf::parse(text.as_bytes()).unwrap(),
        environment: &environment,
        log: &cni_plugin::Log::default(),
        bundle: cni_plugin::Bundle::default(),
    })
}

fn conf(ipam: Value) -> Value {
    json!({ "cniVersion": "1.0.0", "name": "net", "ipam": ipam })
}

fn read(conf: &Value, args: &str) -> Result<Config, (u32, String)> {
    with_call(conf, args, Config::of).map_err(|error| (error.code.0, error.msg))
}

/// The ranges of all sets and their gateways, in the form `start-end via gateway`.
fn sets(conf: &Value) -> Vec<Vec<String>> {
    let config = read(conf, "").unwrap();
    let text = |range: &Range| format!("{range} via {}", range.gateway());
    config
        .range_sets
        .iter()
        .map(|set| set.ranges().iter().map(text).collect())
        .collect()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn all_keys_are_read() {
    let conf = conf(json!({
        "type": "host-local",
        "subnet": "10.1.1.0/24",
        "rangeStart": "10.1.1.8",
        "rangeEnd": "10.1.1.9",
        "gateway": "10.1.1.254",
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "10.9.9.9/8", "gw": "10.1.1.7" }],
        "dataDir": "/data",
        "resolvConf": "/etc/resolv.conf",
    }));
    let config = read(&conf, "IP=10.1.1.8").unwrap();
    let route = |dst: &str, gw: Option<&str>| Route {
        gw: gw.map(|gw| gw.parse().unwrap()),
        ..Route::to(dst.parse().unwrap())
    };
    let range = Range::new(RangeSpec {
        subnet: "10.1.1.0/24".parse().unwrap(),
        start: Some("10.1.1.8".parse().unwrap()),
        end: Some("10.1.1.9".parse().unwrap()),
        gateway: Some("10.1.1.254".parse().unwrap()),
    });
    let set = RangeSet::new(vec![range.unwrap()]).unwrap();
    assert_eq!(
        config,
        Config {
            location: Location {
                data_dir: "/data".into(),
                network: "net".parse().unwrap(),
                backend: StoreKind::Disk,
                lock_timeout: Duration::from_secs(10),
            },
            range_sets: RangeSets::new(vec![set]).unwrap(),
            keys: vec!["ipam".to_owned()],
            routes: vec![
                route("0.0.0.0/0", None),
                route("10.9.9.9/8", Some("10.1.1.7"))
            ],
            resolv_conf: Some("/etc/resolv.conf".into()),
            requested: ips(&["10.1.1.8"]),
            reclaim: Reclaim::AfterReboot,
        }
    );
}

#[test]
fn missing_keys_have_defaults() {
    for empty in [json!(null), json!("")] {
        let ipam = json!({
            "ranges": [[{ "subnet": "10.1.1.0/24", "rangeStart": empty, "rangeEnd": empty, "gateway": empty }]],
            "subnet": empty,
            "gateway": empty,
            "dataDir": empty,
            "resolvConf": empty,
        });
        let config = read(&conf(ipam.clone()), "").unwrap();
        assert_eq!(
            config.location.data_dir,
            PathBuf::from("/var/lib/cni/networks")
        );
        assert_eq!(config.resolv_conf, None);
        assert_eq!(config.routes, []);
        assert_eq!(config.requested, ips(&[]));
        assert_eq!(sets(&conf(ipam)), [["10.1.1.1-10.1.1.254 via 10.1.1.1"]]);
    }
}

#[test]
fn range_sets_in_their_order() {
    let mut all = conf(json!({
        "subnet": "10.1.2.0/24",
        "gateway": "10.1.2.254",
        "ranges": [
            [{ "subnet": "fd00:3::/126" }],
            [{ "subnet": "10.1.5.0/30" }, { "subnet": "10.1.4.0/30", "gateway": "10.1.4.2" }],
        ],
    }));
    let configured = [
        vec!["10.1.2.1-10.1.2.254 via 10.1.2.254"],
        vec!["fd00:3::1-fd00:3::3 via fd00:3::1"],
        vec![
            "10.1.5.1-10.1.5.2 via 10.1.5.1",
            "10.1.4.1-10.1.4.2 via 10.1.4.2",
        ],
    ];
    assert_eq!(sets(&all), configured);

    all["runtimeConfig"] = json!({ "ipRanges": [
        [{ "Subnet": "10.1.9.9/30", "RangeStart": "", "RangeEnd": "", "Gateway": "" }],
        [{ "Subnet": "fd00::/126" }],
    ] });
    let mut expected = vec![
        vec!["10.1.9.9-10.1.9.10 via 10.1.9.9"],
        vec!["fd00::1-fd00::3 via fd00::1"],
    ];
    expected.extend(configured);
    assert_eq!(sets(&all), expected);
}

#[test]
fn requested_addresses_of_all_keys() {
    let mut conf = conf(json!({ "subnet": "10.1.1.0/24" }));
    let requested = |conf: &Value, args: &str| read(conf, args).map(|config| config.requested);
    assert_eq!(requested(&conf, "IP=10.1.1.8/24"), Ok(ips(&["10.1.1.8"])));
    assert_eq!(requested(&conf, "IP="), Ok(ips(&[])));
    assert_eq!(requested(&conf, "IgnoreUnknown=1;IP2=x"), Ok(ips(&[])));

    conf["args"] = json!({ "cni": { "ips": ["FD00:0::09/64", ""] } });
    conf["runtimeConfig"] = json!({ "ips": ["10.1.1.9", "::ffff:10.1.1.10"] });
    // What is in no range is not the configuration's business.
    assert_eq!(
        requested(&conf, "IP=192.0.2.1"),
        Ok(ips(&["192.0.2.1", "fd00::9", "10.1.1.9", "10.1.1.10"]))
    );

    conf["runtimeConfig"] = json!({ "ips": ["10.1.1.9", "host"] });
    assert_eq!(
        requested(&conf, ""),
        Err((7, "runtimeConfig.ips[1]: \"host\" is no IP address".into()))
    );
    assert_eq!(
        requested(&conf, "IP=x"),
        Err((4, "CNI_ARGS IP: \"x\" is no IP address".into()))
    );
    assert_eq!(
        requested(&conf, "ip=10.1.1.9"),
        Err((
            4,
            "CNI_ARGS: unknown names \"ip\"; IgnoreUnknown=1 allows them".into()
        ))
    );
}

#[test]
fn versions_with_one_address_per_family() {
    let dual = json!([[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/64" }]]);
    let two_of_six = json!([[{ "subnet": "fd00:1::/64" }], [{ "subnet": "fd00::/64" }]]);
    let two_in_one = json!([[{ "subnet": "10.1.1.0/24" }, { "subnet": "10.1.2.0/24" }]]);
    for (version, has_room) in [
        (json!(null), false),
        (json!("0.1.0"), false),
        (json!("0.2.0"), false),
        (json!("0.3.0"), true),
    ] {
        let read = |ranges: &Value| {
            let mut conf = conf(json!({ "ranges": ranges }));
            conf["cniVersion"] = version.clone();
            read(&conf, "").map(drop)
        };
        assert_eq!(read(&dual), Ok(()));
        assert_eq!(read(&two_in_one), Ok(()));
        let name = version.as_str().unwrap_or("0.1.0");
        let refused = format!(
            "ipam has several range sets of one family, but cniVersion {name} has room for one address of each: use 0.3.0 or later"
        );
        assert_eq!(
            read(&two_of_six),
            if has_room { Ok(()) } else { Err((7, refused)) }
        );
    }
}

#[test]
fn errors_name_their_key() {
    for (ipam, message) in [
        (
            json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{}]] }),
            "ipam.ranges[1][0].subnet is missing",
        ),
        (
            json!({ "subnet": "10.1.1.0/24", "rangeEnd": "x" }),
            "ipam.rangeEnd: \"x\" is no IP address",
        ),
        (
            json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }, { "subnet": "10.1.2.0/24", "gateway": "10" }]] }),
            "ipam.ranges[0][1].gateway: \"10\" is no IP address",
        ),
        (
            json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }, { "subnet": "10.1.1.0/24" }]] }),
            "ipam.ranges[0]: ranges 10.1.1.1-10.1.1.254 and 10.1.1.1-10.1.1.254 overlap",
        ),
    ] {
        assert_eq!(read(&conf(ipam), ""), Err((7, message.to_owned())));
    }
}

#[test]
fn the_location_needs_no_key_but_data_dir() {
    let location = |conf: &Value| {
        let of = |call: &Call<'_>| location(call.conf, &call.conf.section(IPAM)?);
        with_call(conf, "x", of)
    };
    let found = |data_dir: &str| {
        Ok(Location {
            data_dir: data_dir.into(),
            network: "net".parse().unwrap(),
            backend: StoreKind::Disk,
            lock_timeout: Duration::from_secs(10),
        })
    };
    assert_eq!(
        location(&json!({ "name": "net" })),
        found("/var/lib/cni/networks")
    );
    assert_eq!(location(&conf(json!(null))), found("/var/lib/cni/networks"));
    assert_eq!(
        location(&conf(
            json!({ "DATADIR": "/data", "subnet": 7, "ranges": "x", "routes": [0] })
        )),
        found("/data")
    );
    let error = location(&conf(json!({ "dataDir": ["/data"] }))).unwrap_err();
    assert_eq!(
        (error.code.0, error.msg.as_str()),
        (
            6,
            "cannot decode the network configuration: ipam.dataDir: invalid type: sequence, \
                expected a string"
        )
    );
}

#[test]
fn addresses_of_the_previous_result() {
    let previous = |result: Value| {
        let mut conf = conf(json!({}));
        conf["prevResult"] = result;
        with_call(&conf, "", previous_addresses).map_err(|error| (error.code.0, error.msg))
    };
    assert_eq!(previous(json!(null)), Ok(ips(&[])));
    assert_eq!(previous(json!({})), Ok(ips(&[])));
    assert_eq!(
        previous(
            json!({ "ips": [{ "address": "10.1.1.2/24" }, { "address": "fd00::2/64", "gateway": "fd00::1" }] })
        ),
        Ok(ips(&["10.1.1.2", "fd00::2"]))
    );
    assert_eq!(
        previous(
            json!({ "cniVersion": "0.2.0", "ip4": { "ip": "10.1.1.2/24" }, "ip6": { "ip": "fd00::2/64" } })
        ),
        Ok(ips(&["10.1.1.2", "fd00::2"]))
    );
    assert_eq!(
        previous(json!({ "ips": [{ "address": "10.1.1.2" }] })),
        Err((
            6,
            "cannot decode the network configuration: prevResult.ips[0].address: \"10.1.1.2\" is \
                no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64"
                .into()
        ))
    );
}

proptest! {
    #[test]
    fn a_valid_configuration_has_what_it_says(
        octet in 0u8..=255,
        prefix in 8u8..=30,
        host_bits in any::<u16>(),
        in_ranges in any::<bool>(),
    ) {
        let address = std::net::Ipv4Addr::new(10, octet, (host_bits >> 8) as u8, host_bits as u8);
        let range = json!({ "subnet": format!("{address}/{prefix}") });
        let ipam = if in_ranges { json!({ "ranges": [[range]] }) } else { range };
        let config = read(&conf(ipam), "").unwrap();
        let sets: Vec<&RangeSet> = config.range_sets.iter().collect();
        prop_assert_eq!(sets.len(), 1);
        let subnet = sets[0].ranges()[0].subnet();
        prop_assert_eq!(subnet.prefix(), prefix);
        prop_assert!(subnet.contains(address.into()));
        prop_assert_eq!(subnet.network(), subnet.ip());
    }
}

#[test]
fn excluded_addresses_are_not_given() {
    let ipam = json!({
        "ranges": [[{ "subnet": "10.1.1.0/29" }], [{ "subnet": "fd00::/64" }]],
        "exclude": ["10.1.1.2", "10.1.1.4 - 10.1.1.5", "fd00::/65"],
    });
    let config = read(&conf(ipam), "").unwrap();
    let first: Vec<String> = config
        .range_sets
        .iter()
        .map(|set| set.candidates(None).next().unwrap().0.to_string())
        .collect();
    assert_eq!(first, ["10.1.1.3", "fd00::8000:0:0:0"]);
}

#[test]
fn invalid_values_outside_the_ranges() {
    for (key, value, message) in [
        (
            "exclude",
            json!(["10.1.1.2", "10.1.1.9-10.1.1.8"]),
            r#"ipam.exclude[1]: "10.1.1.9-10.1.1.8" is no address, network or span of addresses such as 10.0.0.5-10.0.0.9"#,
        ),
        (
            "exclude",
            json!(["10.1.1.9-fd00::1"]),
            r#"ipam.exclude[0]: "10.1.1.9-fd00::1" is no address, network or span of addresses such as 10.0.0.5-10.0.0.9"#,
        ),
        (
            "reclaim",
            json!("always"),
            r#"ipam.reclaim: "always" is neither "reboot" nor "never""#,
        ),
        (
            "backend",
            json!("etcd"),
            r#"ipam.backend: "etcd" is neither "disk" nor "db""#,
        ),
        (
            "lockTimeout",
            json!(-1),
            "ipam.lockTimeout: -1 is no number of seconds to wait",
        ),
    ] {
        let mut ipam = json!({ "subnet": "10.1.1.0/24" });
        ipam[key] = value;
        assert_eq!(read(&conf(ipam), "").unwrap_err(), (7, message.to_owned()));
    }
}
