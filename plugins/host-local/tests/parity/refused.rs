//! Invalid configurations get an error, and leave nothing on disk.

use serde_json::{Value, json};

use crate::case::{Case, case, conf, conf_of};
use crate::run::run;

fn refused(name: &str, ipam: Value, message: &str) -> Case {
    case(name)
        .conf(&conf(ipam))
        .add("c1")
        .fails(message)
        .leaves(&[])
}

#[test]
fn a_configuration_without_ranges_is_refused() {
    let mut without = conf(json!({}));
    without["ipam"] = Value::Null;
    run(&[
        case("ipam is null")
            .conf(&without)
            .add("c1")
            .fails("ipam of the network configuration is missing"),
        case("no ipam")
            .stdin(r#"{"cniVersion":"0.4.0","name":"net"}"#)
            .add("c1")
            .fails("ipam of the network configuration is missing"),
        refused(
            "neither subnet nor ranges",
            json!({}),
            "no IP ranges specified",
        )
        .both_say("no IP ranges specified"),
        refused(
            "an empty list",
            json!({ "ranges": [] }),
            "no IP ranges specified",
        )
        .both_say("no IP ranges specified"),
        refused(
            "an empty set",
            json!({ "ranges": [[]] }),
            "ipam.ranges[0]: empty range set",
        ),
        refused(
            "an empty set behind a good one",
            json!({ "subnet": "10.1.1.0/24", "ranges": [[{ "subnet": "fd00::/64" }], []] }),
            "ipam.ranges[1]: empty range set",
        ),
        refused(
            "a range without a subnet",
            json!({ "ranges": [[{}]] }),
            "ipam.ranges[0][0].subnet is missing",
        ),
        refused(
            "only ends",
            json!({ "rangeStart": "10.1.1.2", "rangeEnd": "10.1.1.9" }),
            "no IP ranges specified",
        ),
    ]);
}

#[test]
fn an_invalid_subnet_is_refused() {
    let cases = [
        "10.1.1.0",
        "10.1.1/24",
        "10.1.1.0/33",
        "10.1.1.0/255.255.255.0",
        "fd00::/129",
        "x",
        "010.1.1.0/24",
        "fe80::%1/64",
    ]
    .map(|subnet| refused(subnet, json!({ "subnet": subnet }), "ipam.subnet: "));
    run(&cases);
    let cases = ["10.1.1.0", "fd00::/64/", "/24", " 10.1.1.0/24"].map(|subnet| {
        let ranges = json!({ "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": subnet }]] });
        refused(subnet, ranges, "ipam.ranges[1][0].subnet: ")
    });
    run(&cases);
    run(&[
        refused(
            "a number",
            json!({ "subnet": 10 }),
            "ipam.subnet: invalid type",
        ),
        refused(
            "a list",
            json!({ "subnet": ["10.1.1.0/24"] }),
            "ipam.subnet: invalid type",
        ),
        refused(
            "a set that is no list",
            json!({ "ranges": [{ "subnet": "10.1.1.0/24" }] }),
            "ipam.ranges[0]: ",
        ),
        refused(
            "ranges that are no list",
            json!({ "ranges": { "subnet": "10.1.1.0/24" } }),
            "ipam.ranges: ",
        ),
    ]);
}

#[test]
fn a_range_without_room_is_refused() {
    let cases = ["10.1.1.0/31", "10.1.1.1/32", "fd00::/127", "fd00::1/128"].map(|subnet| {
        refused(
            subnet,
            json!({ "subnet": subnet }),
            "too small to allocate from",
        )
    });
    run(&cases);
    let range = |start: &str, end: &str| json!({ "subnet": "10.1.1.0/24", "rangeStart": start, "rangeEnd": end });
    run(&[
        refused(
            "a start outside",
            range("10.1.2.1", ""),
            "ipam: rangeStart 10.1.2.1 is not in subnet 10.1.1.0/24",
        ),
        refused(
            "an end outside",
            range("", "10.1.2.1"),
            "ipam: rangeEnd 10.1.2.1 is not in subnet 10.1.1.0/24",
        ),
        refused(
            "the end first",
            range("10.1.1.9", "10.1.1.8"),
            "ipam: rangeEnd 10.1.1.8 is before rangeStart 10.1.1.9",
        ),
        refused(
            "a start of the other family",
            range("fd00::1", ""),
            "ipam: rangeStart fd00::1 is not in subnet",
        ),
        refused(
            "an end of the other family",
            range("", "fd00::1"),
            "ipam: rangeEnd fd00::1 is not in subnet",
        ),
        refused(
            "a start that is no address",
            range("10.1.1", ""),
            "ipam.rangeStart: \"10.1.1\" is no IP address",
        ),
        refused(
            "an end with a prefix length",
            range("", "10.1.1.9/24"),
            "ipam.rangeEnd: \"10.1.1.9/24\" is no IP address",
        ),
        refused(
            "a gateway that is no address",
            json!({ "ranges": [[{ "subnet": "10.1.1.0/24", "gateway": "10.1.1.256" }]] }),
            "ipam.ranges[0][0].gateway: \"10.1.1.256\" is no IP address",
        ),
    ]);
}

#[test]
fn ranges_that_overlap_or_mix_families_are_refused() {
    run(&[
        refused(
            "overlap in a set",
            json!({ "ranges": [[{ "subnet": "10.1.0.0/16" }, { "subnet": "10.1.1.0/24" }]] }),
            "ipam.ranges[0]: ranges 10.1.0.1-10.1.255.254 and 10.1.1.1-10.1.1.254 overlap",
        )
        .both_say("10.1.0.1-10.1.255.254 and 10.1.1.1-10.1.1.254 overlap"),
        refused(
            "overlap of sets",
            json!({ "ranges": [
                [{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.9" }],
                [{ "subnet": "fd00::/64" }],
                [{ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.9" }],
            ] }),
            "range set 0 overlaps with 2",
        )
        .both_say("range set 0 overlaps with 2"),
        refused(
            "overlap of the old style and the new one",
            json!({ "subnet": "10.1.1.0/24", "ranges": [[{ "subnet": "10.1.1.0/24" }]] }),
            "range set 0 overlaps with 1",
        )
        .both_say("range set 0 overlaps with 1"),
        refused(
            "two families in a set",
            json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }, { "subnet": "fd00::/64" }]] }),
            "ipam.ranges[0]: mixed address families",
        )
        .both_say("mixed address families"),
        case("parts of one subnet do")
            .conf(&conf(json!({ "ranges": [
                [{ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.8", "rangeEnd": "10.1.1.9" }],
                [{ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.10" }],
            ] })))
            .add("c1")
            .gives(&["10.1.1.8/24 via 10.1.1.1", "10.1.1.10/24 via 10.1.1.1"]),
    ]);
}

#[test]
fn more_addresses_than_the_version_can_express_are_refused() {
    let two = json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/64" }], [{ "subnet": "10.1.2.0/24" }]] });
    let mut cases: Vec<Case> = ["", "0.1.0", "0.2.0"]
        .iter()
        .map(|version| {
            let start = case(format!("{version:?}")).conf(&conf_of(version, two.clone()));
            start
                .add("c1")
                .fails("has room for one address of each: use 0.3.0 or later")
                .leaves(&[])
        })
        .collect();
    cases.push(
        case("0.3.0 has room")
            .conf(&conf_of("0.3.0", two))
            .add("c1")
            .gives(&[
                "10.1.1.2/24 via 10.1.1.1",
                "fd00::2/64 via fd00::1",
                "10.1.2.2/24 via 10.1.2.1",
            ]),
    );
    run(&cases);
}

#[test]
fn invalid_routes_and_resolv_conf_are_refused() {
    let nothing = "nothing can have been given there, and a container that could not be added is \
        still to be deleted";
    let with = |key: &str, value: Value| {
        let mut ipam = json!({ "subnet": "10.1.1.0/24" });
        ipam[key] = value;
        ipam
    };
    run(&[
        refused(
            "a route to nowhere",
            with("routes", json!([{ "dst": "10.0.0.0" }])),
            "ipam.routes[0].dst: ",
        ),
        refused(
            "a next hop that is no address",
            with(
                "routes",
                json!([{ "dst": "10.0.0.0/8" }, { "dst": "10.0.0.0/8", "gw": "10.0.0.0/8" }]),
            ),
            "ipam.routes[1].gw: ",
        ),
        refused(
            "routes that are no list",
            with("routes", json!({ "dst": "10.0.0.0/8" })),
            "ipam.routes: ",
        ),
        refused(
            "a resolvConf that is not there",
            with("resolvConf", json!("{temp}/missing.conf")),
            "/missing.conf: No such file or directory",
        ),
        refused(
            "a resolvConf that is a directory",
            with("resolvConf", json!("{temp}")),
            "ipam.resolvConf: cannot read",
        ),
        refused(
            "a resolvConf that is no text",
            with("resolvConf", json!(true)),
            "ipam.resolvConf: invalid type",
        ),
        case("a dataDir that is no text")
            .conf(&{
                let mut conf = conf(json!({ "subnet": "10.1.1.0/24" }));
                conf["ipam"]["dataDir"] = json!(1);
                conf
            })
            .add("c1")
            .fails("ipam.dataDir: invalid type"),
        case("a dataDir that is a file")
            .file_at("data", "")
            .conf(&conf(json!({ "subnet": "10.1.1.0/24" })))
            .add("c1")
            .fails("/data: Not a directory")
            .check("c1")
            .fails("/data: Not a directory")
            .del("c1")
            .silent()
            .answers_differ(nothing),
        case("a network whose directory is a file")
            .file_at("data/net", "")
            .conf(&conf(json!({ "subnet": "10.1.1.0/24" })))
            .add("c1")
            .fails("/data/net is not a directory")
            .check("c1")
            .fails("/data/net is not a directory")
            .del("c1")
            .silent()
            .answers_differ(nothing),
    ]);
}
