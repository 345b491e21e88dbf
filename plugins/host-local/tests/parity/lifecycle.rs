//! The life of addresses: round robin, exhaustion, DEL, CHECK, and files of other writers.

use serde_json::{Value, json};

use crate::case::{Case, case, conf, with};
use crate::run::run;

fn three() -> Value {
    conf(json!({ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.2", "rangeEnd": "10.1.1.4" }))
}

fn subnet() -> Value {
    conf(json!({ "subnet": "10.1.1.0/24" }))
}

fn at(octet: u8) -> String {
    format!("10.1.1.{octet}/24 via 10.1.1.1")
}

fn adds(case: Case, given: &[(&str, u8)]) -> Case {
    given.iter().fold(case, |case, (container, octet)| {
        case.add(container).gives(&[&at(*octet)])
    })
}

const EXHAUSTED: &str =
    "failed to allocate for range 0: no IP addresses available in range set: 10.1.1.2-10.1.1.4";

#[test]
fn a_range_is_exhausted_and_used_again_after_del() {
    let full = |name| {
        adds(
            case(name).conf(&three()),
            &[("c2", 2), ("c3", 3), ("c4", 4)],
        )
    };
    run(&[
        full("exhaustion, and reuse after DEL")
            .add("c5")
            .fails(EXHAUSTED)
            .both_say(EXHAUSTED)
            .leaves(&[
                "10.1.1.2",
                "10.1.1.3",
                "10.1.1.4",
                "last_reserved_ip.0",
                "lock",
            ])
            .del("c3")
            .silent()
            .leaves(&["10.1.1.2", "10.1.1.4", "last_reserved_ip.0", "lock"])
            .add("c5")
            .gives(&[&at(3)])
            .add("c6")
            .fails(EXHAUSTED)
            .both_say(EXHAUSTED),
        adds(
            case("a released address rests until its turn comes").conf(&three()),
            &[("a", 2)],
        )
        .del("a")
        .silent()
        .add("b")
        .gives(&[&at(3)])
        .del("b")
        .silent()
        .add("a")
        .gives(&[&at(4)])
        .add("b")
        .gives(&[&at(2)])
        .add("c")
        .gives(&[&at(3)]),
        full("the last one given may be free again")
            .del("c4")
            .silent()
            .add("c5")
            .gives(&[&at(4)]),
    ]);
}

#[test]
fn the_search_starts_after_the_last_address() {
    let starts = |name: &str, last: &str, octet| {
        adds(
            case(name).file("last_reserved_ip.0", last).conf(&three()),
            &[("c1", octet)],
        )
    };
    run(&[
        starts("after the last one", "10.1.1.2", 3),
        starts("at the end", "10.1.1.4", 2),
        starts("outside the range", "10.1.1.5", 2),
        starts("of another network", "192.0.2.1", 2),
        starts("of the other family", "fd00::1", 2),
        starts("the gateway, which is outside the range", "10.1.1.1", 2),
        starts("no address", "nonsense", 2),
        starts("empty", "", 2),
        case("each set has its own")
            .file("last_reserved_ip.0", "10.1.1.7")
            .file("last_reserved_ip.1", "fd00::7")
            .conf(&conf(
                json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/64" }]] }),
            ))
            .add("c1")
            .gives(&[&at(8), "fd00::8/64 via fd00::1"]),
        case("in the set's second range")
            .file("last_reserved_ip.0", "10.1.2.254")
            .conf(&conf(
                json!({ "ranges": [[{ "subnet": "10.1.1.0/30" }, { "subnet": "10.1.2.0/24" }]] }),
            ))
            .add("c1")
            .gives(&["10.1.1.2/30 via 10.1.1.1"])
            .add("c2")
            .gives(&["10.1.2.2/24 via 10.1.2.1"]),
    ]);
}

#[test]
fn del_releases_and_check_compares_the_owner() {
    run(&[
        adds(case("CHECK and DEL").conf(&subnet()), &[("c1", 2), ("c2", 3)])
            .check("c1")
            .silent()
            .del("c1")
            .silent()
            .leaves(&["10.1.1.3", "last_reserved_ip.0", "lock"])
            .check("c1")
            .fails("eth0 of container c1 holds no address")
            .check("c2")
            .silent()
            .del("c1")
            .silent()
            .del("never-added")
            .silent()
            .leaves(&["10.1.1.3", "last_reserved_ip.0", "lock"]),
        adds(case("CHECK with the result of the ADD").conf(&subnet()), &[("c1", 2)])
            .conf(&with(
                subnet(),
                "prevResult",
                json!({ "cniVersion": "0.4.0", "ips": [{ "version": "4", "address": "10.1.1.2/24", "gateway": "10.1.1.1" }] }),
            ))
            .check("c1")
            .silent()
            .del("c1")
            .silent(),
        adds(case("CHECK in 1.0.0").conf(&subnet()), &[("c1", 2)])
            .conf(&with(subnet(), "cniVersion", json!("1.0.0")))
            .check("c1")
            .silent(),
        case("dual stack is released whole")
            .conf(&conf(json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/64" }]] })))
            .add("c1")
            .gives(&[&at(2), "fd00::2/64 via fd00::1"])
            .del("c1")
            .silent()
            .leaves(&["last_reserved_ip.0", "last_reserved_ip.1", "lock"]),
        adds(case("DEL with other ranges").conf(&subnet()), &[("c1", 2)])
            .conf(&conf(json!({ "subnet": "192.0.2.0/24" })))
            .check("c1")
            .silent()
            .del("c1")
            .silent()
            .leaves(&["last_reserved_ip.0", "lock"]),
        adds(case("another network's directory is another's").conf(&subnet()), &[("c1", 2)])
            .conf(&with(subnet(), "name", json!("other")))
            .add("c1")
            .gives(&[&at(2)])
            .del("c1")
            .silent()
            .leaves(&["10.1.1.2", "last_reserved_ip.0", "lock"]),
    ]);
}

#[test]
fn a_repeated_add_is_refused() {
    let second = |case: Case| {
        case.add("c1")
            .fails("failed to allocate for range 0: 10.1.1.2 has been allocated to c1")
    };
    run(&[
        second(adds(case("a second ADD").conf(&subnet()), &[("c1", 2)]))
            .both_say("10.1.1.2 has been allocated to c1")
            .leaves(&["10.1.1.2", "last_reserved_ip.0", "lock"])
            .del("c1")
            .silent()
            .add("c1")
            .gives(&[&at(3)]),
        adds(case("a second interface").conf(&subnet()), &[("c1", 2)])
            .add("c1")
            .ifname("eth1")
            .gives(&[&at(3)])
            .add("c1")
            .ifname("eth1")
            .fails("10.1.1.3 has been allocated to c1")
            .both_say("10.1.1.3 has been allocated to c1")
            .del("c1")
            .silent()
            .leaves(&["10.1.1.3", "last_reserved_ip.0", "lock"])
            .check("c1")
            .fails("eth0 of container c1 holds no address")
            .check("c1")
            .ifname("eth1")
            .silent()
            .del("c1")
            .ifname("eth1")
            .silent()
            .leaves(&["last_reserved_ip.0", "lock"]),
        case("an address of no set is no obstacle")
            .file("192.0.2.9", "c1\r\neth0")
            .conf(&subnet())
            .add("c1")
            .gives(&[&at(2)])
            .del("c1")
            .silent()
            .leaves(&["last_reserved_ip.0", "lock"]),
        case("names that start the same")
            .file("10.1.1.2", "c1\r\neth0")
            .conf(&subnet())
            .add("c")
            .gives(&[&at(3)])
            .del("c")
            .silent()
            .add("c1")
            .ifname("eth")
            .gives(&[&at(4)])
            .leaves(&["10.1.1.2", "10.1.1.4", "last_reserved_ip.0", "lock"]),
    ]);
}

#[test]
fn files_of_older_versions_are_found_by_container_id() {
    let old = |name: &str, contents: &str| case(name).file("10.1.1.2", contents).conf(&subnet());
    run(&[
        old("found", "c1")
            .check("c1")
            .silent()
            .check("c2")
            .fails("eth0 of container c2 holds no address"),
        old("in the way of the next one", "c1")
            .add("c2")
            .gives(&[&at(3)]),
        old("in the way of a request", "c1")
            .add("c2")
            .args("IP=10.1.1.2")
            .fails("10.1.1.2 is not available"),
        old("in the way of their own container", "c1")
            .add("c1")
            .fails("10.1.1.2 has been allocated to c1"),
        old("released", "c1").del("c1").silent().leaves(&["lock"]),
        old("released whatever the interface", "c1")
            .del("c1")
            .ifname("net1")
            .silent()
            .leaves(&["lock"]),
        old("left alone by others", "c1")
            .del("c")
            .silent()
            .del("c2")
            .silent()
            .leaves(&["10.1.1.2", "lock"]),
        old("with a newline", "c1\n")
            .check("c1")
            .silent()
            .del("c1")
            .silent()
            .leaves(&["lock"]),
        old("today's with a newline", "c1\r\neth0\n")
            .check("c1")
            .silent()
            .del("c1")
            .silent()
            .leaves(&["lock"]),
        old("several", "c1")
            .file("fd00::2", "c1")
            .file("10.1.1.9", "c2")
            .del("c1")
            .silent()
            .leaves(&["10.1.1.9", "lock"]),
        old("today's file counts first", "c1")
            .file("10.1.1.3", "c1\r\neth0")
            .del("c1")
            .silent()
            .leaves(&["10.1.1.2", "lock"])
            .del("c1")
            .silent()
            .leaves(&["lock"]),
        old("another interface's file is another's", "c1\r\neth1")
            .del("c1")
            .silent()
            .leaves(&["10.1.1.2", "lock"]),
        case("a name that is not canonical holds nothing")
            .file("fd00:0:0::2", "other\r\neth0")
            .conf(&conf(json!({ "subnet": "fd00::/64" })))
            .add("c1")
            .gives(&["fd00::2/64 via fd00::1"]),
    ]);
}

#[test]
fn file_names_are_canonical() {
    run(&[case("IPv6")
        .conf(&conf(json!({ "ranges": [
            [{ "subnet": "2001:DB8:0000:0000:0001:0000:0000:0000/96", "rangeStart": "2001:db8:0:0:1:0:0:00A0" }],
            [{ "subnet": "2001:db8:0:1:0:0:0:0/64", "rangeStart": "2001:db8:0:1:1:1:1:1" }],
        ] })))
        .add("c1")
        .gives(&["2001:db8::1:0:0:a0/96 via \
            2001:db8::1:0:0:1", "2001:db8:0:1:1:1:1:1/64 via 2001:db8:0:1::1"])
        .leaves(&["2001:db8:0:1:1:1:1:1", "2001:db8::1:0:0:a0", "last_reserved_ip.0", "last_reserved_ip.1", "lock"])
        .del("c1")
        .silent()
        .leaves(&["last_reserved_ip.0", "last_reserved_ip.1", "lock"])]);
}
