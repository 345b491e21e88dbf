//! Requests that cannot be fulfilled.

use serde_json::{Value, json};
use testkit::Invocation;

use crate::network::Network;

fn add(network: &Network, conf: &Value, args: &str) -> Invocation {
    network.call("ADD", conf).args(args)
}

#[test]
fn requests_for_unavailable_addresses_are_refused() {
    let network = Network::new();
    let conf = network.subnet();
    let unfulfilled = |address: &str| {
        format!(
            "failed to allocate all requested IPs: {address}: each must be in a range set, and a \
                set gives one"
        )
    };
    for (address, message) in [
        (
            "10.1.1.2",
            "failed to allocate for range 0: requested IP address 10.1.1.2 is not available in \
                range set 10.1.1.1-10.1.1.254: held eth0 holds it"
                .to_owned(),
        ),
        (
            "10.1.1.1",
            "failed to allocate for range 0: requested IP address 10.1.1.1 is the \
            subnet's gateway"
                .to_owned(),
        ),
        ("10.1.1.255", unfulfilled("10.1.1.255")),
        ("10.1.2.2", unfulfilled("10.1.2.2")),
        ("fd00::2", unfulfilled("fd00::2")),
    ] {
        network.refuses(
            &add(&network, &conf, &format!("IP={address}")),
            111,
            &message,
        );
        network.refuses(
            &add(&network, &conf, &format!("IP={address}/24")),
            111,
            &message,
        );
        let mut in_args = conf.clone();
        in_args["args"] = json!({ "cni": { "ips": [address] } });
        network.refuses(&network.call("ADD", &in_args), 111, &message);
        let mut by_runtime = conf.clone();
        by_runtime["runtimeConfig"] = json!({ "ips": [address] });
        network.refuses(&network.call("ADD", &by_runtime), 111, &message);
    }
    let mut two = conf.clone();
    two["args"] = json!({ "cni": { "ips": ["10.1.1.9"] } });
    network.refuses(
        &add(&network, &two, "IP=10.1.1.8"),
        111,
        &unfulfilled("10.1.1.9"),
    );
}

#[test]
fn invalid_requested_addresses_are_refused() {
    let network = Network::new();
    let conf = network.subnet();
    for (args, message) in [
        ("IP=10.1.1", "CNI_ARGS IP: \"10.1.1\" is no IP address"),
        (
            "IP=10.1.1.9,10.1.1.10",
            "CNI_ARGS IP: \"10.1.1.9,10.1.1.10\" is no IP address",
        ),
        (
            "IP=10.1.1.9/33",
            "CNI_ARGS IP: \"10.1.1.9/33\" is no network in CIDR notation, such as 10.0.0.0/24 or \
                fd00::/64",
        ),
    ] {
        network.refuses(&add(&network, &conf, args), 4, message);
    }
    let mut conf = conf;
    conf["args"] = json!({ "cni": { "ips": ["10.1.1.9", "localhost"] } });
    network.refuses(
        &network.call("ADD", &conf),
        7,
        "args.cni.ips[1]: \"localhost\" is no IP address",
    );
}

#[test]
fn an_exhausted_range_and_a_repeated_add_are_refused() {
    let network = Network::new();
    let full = network.conf(json!({ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.2" }));
    network.refuses(
        &network.call("ADD", &full),
        110,
        "failed to allocate for range 0: no IP addresses available in range set: 10.1.1.1-10.1.1.2: 1 address is held in \
         {temp}/data/net: delete containers, have the runtime collect garbage, or configure a larger range",
    );
    let duplicate = "failed to allocate for range 0: 10.1.1.2 has been allocated to held already: \
        a second ADD needs a DEL before it";
    let second = network.call("ADD", &network.subnet()).container("held");
    network.refuses(&second, 112, duplicate);
    network.refuses(&second.args("IP=10.1.1.9"), 112, duplicate);
}

#[test]
fn check_without_addresses_fails() {
    let network = Network::new();
    let mut conf = network.subnet();
    network.refuses(
        &network.call("CHECK", &conf),
        120,
        "eth0 of container c1 holds no address in {temp}/data/net",
    );
    network.refuses(
        &network
            .call("CHECK", &conf)
            .container("held")
            .ifname("eth1"),
        120,
        "eth1 of container held holds no address in {temp}/data/net",
    );
    conf["prevResult"] = json!({ "ips": [{ "address": "10.1.1.3/24" }, { "address": "10.1.1.4/24" }, { "address": "192.0.2.1/24" }] });
    network.refuses(
        &network.call("CHECK", &conf).container("held"),
        120,
        "eth0 of container held does not hold 10.1.1.3, 10.1.1.4 of prevResult in {temp}/data/net",
    );
}

/// Many thousands of entries neither take long nor make a long message.
#[test]
fn thousands_of_ranges_and_requests_are_refused_quickly() {
    let network = Network::new();
    let requested: Vec<String> = (0..60_000u32)
        .map(|number| std::net::Ipv4Addr::from_bits(0x0a01_0102 + number).to_string())
        .collect();
    let mut conf = network.subnet();
    conf["args"] = json!({ "cni": { "ips": requested } });
    network.refuses(
        &network.call("ADD", &conf),
        111,
        "failed to allocate all requested IPs: 10.1.1.3 10.1.1.4 10.1.1.5 10.1.1.6 10.1.1.7 10.1.1.8 10.1.1.9 \
         10.1.1.10 … (59999 in all): each must be in a range set, and a set gives one",
    );
    let excluded: Vec<String> = (0..60_000u32)
        .map(|number| std::net::Ipv4Addr::from_bits(0x0a01_0000 + 2 * number).to_string())
        .collect();
    let conf = network
        .conf(json!({ "subnet": "10.0.0.0/8", "rangeStart": "10.1.0.0", "exclude": excluded }));
    let started = std::time::Instant::now();
    let result = network.call("ADD", &conf).run().success();
    assert_eq!(result["ips"][0]["address"], "10.1.1.3/8");
    // A quadratic algorithm would take minutes in this build.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// A mistake that only concerns ADD and STATUS.
#[test]
fn a_range_set_without_addresses_fails_add_and_status_only() {
    let network = Network::new();
    let gateway = |subnet: &str, address: &str| json!([{ "subnet": subnet, "rangeStart": address, "rangeEnd": address }]);
    let gateways = json!([
        { "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.1" },
        { "subnet": "10.1.2.0/24", "gateway": "10.1.2.9", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.9" },
    ]);
    let other = json!([{ "subnet": "10.2.0.0/24" }]);
    let full = |key: &str, index: usize, set: &str| {
        format!(
            "{key}: failed to allocate for range {index}: no IP addresses available in range set: \
                {set}: all that is in it is the gateway"
        )
    };
    let excluded = |key: &str, set: &str| {
        format!("ipam.exclude leaves no address to give in range set {set} of {key}")
    };
    for (ipam, ip_ranges, message) in [
        (
            json!({ "ranges": [gateway("10.1.1.0/24", "10.1.1.1")] }),
            json!([]),
            full("ipam.ranges[0]", 0, "10.1.1.1-10.1.1.1"),
        ),
        (
            json!({ "subnet": "10.3.0.0/24", "ranges": [other, gateway("fd00::/64", "fd00::1")] }),
            json!([]),
            full("ipam.ranges[1]", 2, "fd00::1-fd00::1"),
        ),
        (
            json!({ "ranges": [gateways] }),
            json!([]),
            full("ipam.ranges[0]", 0, "10.1.1.1-10.1.1.1,10.1.2.9-10.1.2.9"),
        ),
        (
            json!({ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.1", "exclude": ["10.9.0.1"] }),
            json!([]),
            full("ipam", 0, "10.1.1.1-10.1.1.1"),
        ),
        (
            json!({ "ranges": [other] }),
            json!([gateway("10.1.1.0/24", "10.1.1.1")]),
            full("runtimeConfig.ipRanges[0]", 0, "10.1.1.1-10.1.1.1"),
        ),
        (
            json!({ "subnet": "10.1.1.0/24", "exclude": ["10.1.0.0/16"] }),
            json!([]),
            excluded("ipam", "10.1.1.1-10.1.1.254"),
        ),
        (
            json!({ "subnet": "10.1.1.0/30", "exclude": ["10.1.1.2"] }),
            json!([]),
            excluded("ipam", "10.1.1.1-10.1.1.2"),
        ),
        (
            json!({ "ranges": [other], "exclude": ["10.1.1.2-10.1.1.6"] }),
            json!([[{ "subnet": "10.1.1.0/29" }]]),
            excluded("runtimeConfig.ipRanges[0]", "10.1.1.1-10.1.1.6"),
        ),
    ] {
        for backend in ["disk", "db"] {
            let mut ipam = ipam.clone();
            ipam["backend"] = backend.into();
            let mut conf = network.conf(ipam);
            conf["runtimeConfig"] = json!({ "ipRanges": ip_ranges });
            if backend == "disk" {
                network.refuses(&network.call("ADD", &conf), 7, &message);
            } else {
                let failure = network.call("ADD", &conf).run().failure();
                assert_eq!((failure.code, &failure.msg), (7, &message));
            }
            let mut newer = conf.clone();
            newer["cniVersion"] = "1.1.0".into();
            network.refuses_with(
                &network.call("STATUS", &newer),
                &json!({ "cniVersion": "1.1.0", "code": 50, "msg": message }),
            );
            network.call("DEL", &conf).run().silent();
        }
    }
}

#[test]
fn an_exhausted_database_is_refused() {
    let network = Network::new();
    network
        .call("DEL", &network.subnet())
        .container("held")
        .run()
        .silent();
    let conf = network.conf(json!({ "subnet": "10.1.1.0/30", "backend": "db" }));
    network.call("ADD", &conf).run().success();
    network.refuses(
        &network.call("ADD", &conf).container("c2"),
        110,
        "failed to allocate for range 0: no IP addresses available in range set: 10.1.1.1-10.1.1.2: 1 address is held in \
         {temp}/data/.addresses.db (`rm -rf {temp}/data/*` does not empty this file): delete \
         containers, \
         have the runtime collect garbage, or configure a larger range",
    );
}
