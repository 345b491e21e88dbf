//! Mistakes in the configuration.

use serde_json::{Value, json};

use crate::network::Network;

const UNDECODABLE: &str = "cannot decode the network configuration: ";

/// ADD and CHECK read the whole configuration, so both report a mistake in it.
#[track_caller]
fn refuses(network: &Network, conf: &Value, code: u32, msg: &str) {
    network.refuses(&network.call("ADD", conf), code, msg);
    network.refuses(&network.call("CHECK", conf), code, msg);
}

#[track_caller]
fn refuses_ipam(ipam: Value, code: u32, msg: &str) {
    let network = Network::new();
    refuses(&network, &network.conf(ipam), code, msg);
}

#[test]
fn a_configuration_without_ranges_is_refused() {
    let network = Network::new();
    let mut conf = network.subnet();
    conf["ipam"] = Value::Null;
    refuses(
        &network,
        &conf,
        7,
        "ipam of the network configuration is missing",
    );
    let no_ranges = "no IP ranges specified: ipam needs ranges or a subnet";
    refuses_ipam(json!({}), 7, no_ranges);
    refuses_ipam(json!({ "ranges": [], "subnet": "" }), 7, no_ranges);
    refuses_ipam(
        json!({ "gateway": "10.1.1.1", "rangeStart": "10.1.1.9" }),
        7,
        no_ranges,
    );
    let empty = "empty range set: give it at least one range with a subnet";
    refuses_ipam(
        json!({ "ranges": [[]] }),
        7,
        &format!("ipam.ranges[0]: {empty}"),
    );
    refuses_ipam(
        json!({ "ranges": [[{}]] }),
        7,
        "ipam.ranges[0][0].subnet is missing",
    );
    refuses_ipam(
        json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "" }]] }),
        7,
        "ipam.ranges[1][0].subnet is missing",
    );
    let mut conf = network.subnet();
    conf["runtimeConfig"] = json!({ "ipRanges": [[{ "subnet": null }]] });
    refuses(
        &network,
        &conf,
        7,
        "runtimeConfig.ipRanges[0][0].subnet is missing",
    );
    conf["runtimeConfig"] = json!({ "ipRanges": [[]] });
    refuses(
        &network,
        &conf,
        7,
        &format!("runtimeConfig.ipRanges[0]: {empty}"),
    );
}

#[test]
fn invalid_addresses_are_refused() {
    let network = "is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64";
    for subnet in [
        "10.1.1.0",
        "10.1.1.0/33",
        "10.1.1/24",
        "10.1.1.0/255.255.255.0",
        "x\n",
    ] {
        refuses_ipam(
            json!({ "subnet": subnet }),
            7,
            &format!("ipam.subnet: {subnet:?} {network}"),
        );
    }
    refuses_ipam(
        json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }, { "subnet": "fd00::" }]] }),
        7,
        &format!("ipam.ranges[0][1].subnet: \"fd00::\" {network}"),
    );
    for key in ["rangeStart", "rangeEnd", "gateway"] {
        for (value, quoted) in [
            ("10.1.1.256", "\"10.1.1.256\""),
            ("10.1.1.9/24", "\"10.1.1.9/24\""),
        ] {
            let mut ipam = json!({ "subnet": "10.1.1.0/24" });
            ipam[key] = value.into();
            refuses_ipam(
                ipam.clone(),
                7,
                &format!("ipam.{key}: {quoted} is no IP address"),
            );
            let message = format!("ipam.ranges[0][0].{key}: {quoted} is no IP address");
            refuses_ipam(json!({ "ranges": [[ipam]] }), 7, &message);
        }
    }
}

#[test]
fn invalid_ranges_are_refused() {
    let of = |key: &str, value: &str| {
        let mut ipam = json!({ "subnet": "10.1.1.0/24" });
        ipam[key] = value.into();
        ipam
    };
    let outside = "ipam: rangeStart 10.1.2.1 is not in subnet 10.1.1.0/24";
    refuses_ipam(of("rangeStart", "10.1.2.1"), 7, outside);
    refuses_ipam(
        of("rangeEnd", "fd00::1"),
        7,
        "ipam: rangeEnd fd00::1 is not in subnet 10.1.1.0/24",
    );
    refuses_ipam(
        json!({ "ranges": [[{ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.9", "rangeEnd": "10.1.1.8" }]] }),
        7,
        "ipam.ranges[0][0]: rangeEnd 10.1.1.8 is before rangeStart 10.1.1.9",
    );
    refuses_ipam(
        of("gateway", "fd00::1"),
        7,
        "ipam: gateway fd00::1 is not of the address family of subnet 10.1.1.0/24",
    );
    for (subnet, max) in [
        ("10.1.1.0/31", 30),
        ("10.1.1.0/32", 30),
        ("fd00::/127", 126),
    ] {
        let message = format!(
            "ipam: subnet {subnet} is too small to allocate from: use a prefix length of {max} or \
                less"
        );
        refuses_ipam(json!({ "subnet": subnet }), 7, &message);
    }
}

#[test]
fn ranges_that_overlap_or_mix_families_are_refused() {
    let (v4, v6) = (
        json!({ "subnet": "10.1.1.0/24" }),
        json!({ "subnet": "fd00::/64" }),
    );
    let part = json!({ "subnet": "10.1.0.0/16", "rangeStart": "10.1.1.254" });
    refuses_ipam(
        json!({ "ranges": [[v4, v6]] }),
        7,
        "ipam.ranges[0]: mixed address families: 10.1.1.1-10.1.1.254 and \
            fd00::1-fd00::ffff:ffff:ffff:ffff need a range set each",
    );
    refuses_ipam(
        json!({ "ranges": [[v6], [v4, part]] }),
        7,
        "ipam.ranges[1]: ranges 10.1.1.1-10.1.1.254 and 10.1.1.254-10.1.255.254 overlap",
    );
    refuses_ipam(
        json!({ "ranges": [[v4], [v6], [part]] }),
        7,
        "range set 0 overlaps with 2: 10.1.1.1-10.1.1.254 and 10.1.1.254-10.1.255.254",
    );
    let network = Network::new();
    let mut conf = network.conf(json!({ "ranges": [[v4], [{ "subnet": "10.1.2.0/24" }]] }));
    conf["cniVersion"] = "0.2.0".into();
    network.refuses_with(
        &network.call("ADD", &conf),
        &json!({
            "cniVersion": "0.2.0",
            "code": 7,
            "msg": "ipam has several range sets of one family, but cniVersion 0.2.0 has room for one address of each: use 0.3.0 or later",
        }),
    );
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    for (ipam, problem) in [
        (
            json!({ "subnet": 10 }),
            "ipam.subnet: invalid type: integer `10`, expected a string",
        ),
        (
            json!({ "subnet": "10.1.1.0/24", "gateway": {} }),
            "ipam.gateway: invalid type: map, expected a string",
        ),
        (
            json!({ "ranges": "10.1.1.0/24" }),
            "ipam.ranges: invalid type: string \"10.1.1.0/24\", expected a sequence",
        ),
        (
            json!({ "ranges": [{ "subnet": "x" }] }),
            "ipam.ranges[0]: invalid type: map, expected a sequence",
        ),
        (
            json!({ "ranges": [["10.1.1.0/24"]] }),
            "ipam.ranges[0][0]: an object is expected, not a string",
        ),
        (
            json!({ "ranges": [[null]] }),
            "ipam.ranges[0][0]: an object is expected, not null",
        ),
        (
            json!({ "routes": ["10.0.0.0/8"] }),
            "ipam.routes[0]: an object is expected, not a string",
        ),
        (
            json!({ "routes": [{ "gw": "10.1.1.1" }] }),
            "ipam.routes[0]: missing field `dst`",
        ),
        (
            json!({ "routes": [{ "dst": "10.0.0.0/8" }, { "dst": "10.0.0.0" }] }),
            "ipam.routes[1].dst: \"10.0.0.0\" is no network in CIDR notation, such as 10.0.0.0/24 \
                or fd00::/64",
        ),
        (
            json!({ "routes": [{ "dst": "10.0.0.0/8", "gw": "x" }] }),
            "ipam.routes[0].gw: \"x\" is no IP address",
        ),
        (
            json!({ "resolvConf": ["/etc/resolv.conf"] }),
            "ipam.resolvConf: invalid type: sequence, expected a string",
        ),
    ] {
        refuses_ipam(ipam, 6, &format!("{UNDECODABLE}{problem}"));
    }
    let network = Network::new();
    for (key, value, problem) in [
        (
            "ipam",
            json!("host-local"),
            "ipam: an object is expected, not a string",
        ),
        (
            "ipam",
            json!([]),
            "ipam: an object is expected, not an array",
        ),
        (
            "args",
            json!(1),
            "args: an object is expected, not a number",
        ),
        (
            "args",
            json!({ "cni": [] }),
            "args.cni: an object is expected, not an array",
        ),
        (
            "args",
            json!({ "cni": { "ips": "10.1.1.9" } }),
            "args.cni.ips: invalid type: string \"10.1.1.9\", expected a sequence",
        ),
        (
            "runtimeConfig",
            json!(true),
            "runtimeConfig: an object is expected, not a boolean",
        ),
        (
            "runtimeConfig",
            json!({ "ips": [10] }),
            "runtimeConfig.ips[0]: invalid type: integer `10`, expected a string",
        ),
        (
            "runtimeConfig",
            json!({ "ipRanges": [{}] }),
            "runtimeConfig.ipRanges[0]: invalid type: map, expected a sequence",
        ),
    ] {
        let mut conf = network.subnet();
        conf[key] = value;
        refuses(&network, &conf, 6, &format!("{UNDECODABLE}{problem}"));
    }
}

#[test]
fn an_invalid_prev_result_is_refused() {
    let network = Network::new();
    let mut conf = network.subnet();
    for (previous, problem) in [
        (json!("x"), ": an object is expected, not a string"),
        (
            json!({ "cniVersion": "9" }),
            ".cniVersion: \"9\" is not a supported version of the CNI specification",
        ),
        (
            json!({ "ips": [{ "address": "10.1.1.2" }] }),
            ".ips[0].address: \"10.1.1.2\" is no network in CIDR notation, such as 10.0.0.0/24 or \
                fd00::/64",
        ),
    ] {
        conf["prevResult"] = previous;
        network.refuses(
            &network.call("CHECK", &conf),
            6,
            &format!("cannot decode the network configuration: prevResult{problem}"),
        );
    }
}

#[test]
fn del_ignores_keys_that_it_does_not_need() {
    let network = Network::new();
    let mut conf = network.subnet();
    conf["ipam"]["dataDir"] = json!(["/data"]);
    let message = format!("{UNDECODABLE}ipam.dataDir: invalid type: sequence, expected a string");
    for command in ["ADD", "DEL", "CHECK"] {
        network.refuses(&network.call(command, &conf), 6, &message);
    }
    conf["ipam"] = json!(7);
    let message = format!("{UNDECODABLE}ipam: an object is expected, not a number");
    network.refuses(&network.call("DEL", &conf), 6, &message);
}

/// Neither key can keep the addresses of a container that is gone.
#[test]
fn del_and_gc_release_with_an_invalid_backend_or_lock_timeout() {
    for (key, value) in [
        ("lockTimeout", json!("ten")),
        ("lockTimeout", json!(-1)),
        ("lockTimeout", json!({})),
        ("backend", json!("etcd")),
        ("backend", json!(5)),
    ] {
        for command in ["DEL", "GC"] {
            let network = Network::new();
            let mut conf = network.subnet();
            conf["cniVersion"] = json!("1.1.0");
            conf["cni.dev/valid-attachments"] = json!([]);
            conf["ipam"][key] = value.clone();
            let call = network.call(command, &conf).container("held");
            let outcome = call.env("CNI_LOG", "error").run();
            assert_eq!((outcome.code, &*outcome.stdout), (Some(0), &b""[..]));
            assert!(outcome.stderr_text().contains(key), "{outcome}");
            assert!(!network.path().join("data/net/10.1.1.2").exists());
            // Only DEL and GC accept the mistake.
            let failure = network.call("ADD", &conf).run().failure();
            assert!(failure.msg.contains(key), "{failure:?}");
        }
    }
}

#[test]
fn a_mistake_in_one_key_does_not_reset_the_others() {
    let network = Network::new();
    let mut conf = network.conf(json!({"subnet": "10.1.1.0/29", "backend": "db"}));
    // The network has an address in a file, so this container's address is in the database.
    conf["name"] = "other".into();
    conf["runtimeConfig"] = json!({"ips": ["10.1.1.3"]});
    network.call("ADD", &conf).run().success();
    let mut wrong = conf.clone();
    wrong["ipam"]["lockTimeout"] = json!("ten");
    network.call("DEL", &wrong).run().silent();
    network.call("ADD", &conf).container("c2").run().success();
}
