//! The known differences from the Go plugin, with the behaviour of ours and the reason. A
//! difference in a single error stands beside the other errors of its kind.

use serde_json::{Value, json};
use testkit::requirements::require_reference;
use testkit::{Invocation, binaries};

use crate::case::{Case, case, conf, conf_of, with};
use crate::run::run;

fn subnet() -> Value {
    conf(json!({ "subnet": "10.1.1.0/24" }))
}

const FIRST: [&str; 1] = ["10.1.1.2/24 via 10.1.1.1"];

#[test]
fn configurations_that_only_ours_accepts() {
    let host_bits = "configurations with host bits in the subnet are in use since the first \
        host-local, whose README has one";
    let unset = "an empty text or null says unset, as it does for the other addresses of a range";
    let of_others = "one CNI_ARGS is for all plugins of a network, and those of the reference \
        define MAC and GATEWAY";
    run(&[
        case("CNI_ARGS with what other plugins define")
            .conf(&subnet())
            .add("c1")
            .args("MAC=02:00:00:00:00:01;IP=10.1.1.9;GATEWAY=10.1.1.1")
            .gives(&["10.1.1.9/24 via 10.1.1.1"])
            .answers_differ(of_others)
            .files_differ(of_others),
        case("host bits in the subnet")
            .conf(&conf(json!({ "subnet": "203.0.113.1/24" })))
            .add("c1")
            .gives(&["203.0.113.2/24 via 203.0.113.1"])
            .leaves(&["203.0.113.2", "last_reserved_ip.0", "lock"])
            .answers_differ(host_bits)
            .files_differ(host_bits),
        case("an empty subnet beside ranges")
            .conf(&conf(
                json!({ "subnet": "", "ranges": [[{ "subnet": "10.1.1.0/24" }]] }),
            ))
            .add("c1")
            .gives(&FIRST)
            .answers_differ(unset)
            .files_differ(unset),
        case("a subnet of null beside ranges")
            .conf(&conf(
                json!({ "subnet": null, "ranges": [[{ "subnet": "10.1.1.0/24" }]] }),
            ))
            .add("c1")
            .gives(&FIRST)
            .answers_differ(unset)
            .files_differ(unset),
    ]);
}

#[test]
fn versions() {
    let newer = "the reference knows versions up to 1.0.0";
    let empty_dns = "the reference has an empty dns in results of 1.0.0; newer Go plugins leave \
        it out, as ours does";
    let route = json!({ "dst": "10.0.0.0/8", "mtu": 1400, "advmss": 1360, "priority": 5, "table": 7, "scope": 253 });
    let dropped = "the reference drops what 1.1.0 has added to routes";
    run(&[
        case("VERSION")
            .call("VERSION", "c1")
            .results_in(json!({
                "cniVersion": "1.1.0",
                "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
            }))
            .answers_differ(newer),
        case("1.1.0")
            .conf(&conf_of("1.1.0", json!({ "subnet": "10.1.1.0/24" })))
            .add("c1")
            .results_in(json!({
                "cniVersion": "1.1.0",
                "ips": [{ "address": "10.1.1.2/24", "gateway": "10.1.1.1" }],
            }))
            .answers_differ(newer)
            .files_differ(newer),
        case("STATUS, which 1.1.0 has brought")
            .conf(&conf_of("1.1.0", json!({ "subnet": "10.1.1.0/24" })))
            .call("STATUS", "c1")
            .silent()
            .leaves(&[])
            .answers_differ(newer)
            .conf(&subnet())
            .call("STATUS", "c1")
            .fails("config version does not allow STATUS"),
        case("an empty dns")
            .conf(&conf_of("1.0.0", json!({ "subnet": "10.1.1.0/24" })))
            .add("c1")
            .results_in(json!({
                "cniVersion": "1.0.0",
                "ips": [{ "address": "10.1.1.2/24", "gateway": "10.1.1.1" }],
            }))
            .answers_differ(empty_dns),
        case("routes of 1.1.0")
            .conf(&conf(json!({ "subnet": "10.1.1.0/24", "routes": [route] })))
            .add("c1")
            .results_in(json!({
                "cniVersion": "0.4.0",
                "ips": [{ "version": "4", "address": "10.1.1.2/24", "gateway": "10.1.1.1" }],
                "routes": [route],
                "dns": {},
            }))
            .answers_differ(dropped),
    ]);
}

#[test]
fn del_and_check_create_nothing() {
    let reason =
        "a network that gave nothing has no directory, and looking for what it gave makes none";
    run(&[
        case("DEL")
            .conf(&subnet())
            .del("c1")
            .silent()
            .leaves(&[])
            .files_differ(reason),
        case("CHECK")
            .conf(&subnet())
            .check("c1")
            .fails("eth0 of container c1 holds no address")
            .leaves(&[])
            .files_differ(reason),
    ]);
}

#[test]
fn an_attachment_has_one_address_per_range_set() {
    let requested =
        "an attachment has one address of a set at most, also if it asks for another one";
    let taken_back = "a refused ADD leaves the addresses alone that the attachment holds; the Go \
        plugin takes all of them back";
    run(&[
        case("a second ADD that asks for another address")
            .conf(&subnet())
            .add("c1")
            .gives(&FIRST)
            .add("c1")
            .args("IP=10.1.1.9")
            .fails("failed to allocate for range 0: 10.1.1.2 has been allocated to c1 already")
            .leaves(&["10.1.1.2", "last_reserved_ip.0", "lock"])
            .answers_differ(requested)
            .files_differ(requested),
        case("a second ADD, of which one set could give")
            .file("fd00::2", "c1\r\neth0")
            .conf(&conf(
                json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/64" }]] }),
            ))
            .add("c1")
            .fails("failed to allocate for range 1: fd00::2 has been allocated to c1 already")
            .both_say("failed to allocate for range 1: fd00::2 has been allocated to c1")
            .leaves(&["fd00::2", "lock"])
            .files_differ(taken_back),
    ]);
}

#[test]
fn del_needs_only_the_data_dir() {
    let reason = "DEL releases whatever has become of the rest of the configuration";
    let held = |name: &str| case(name).file("10.1.1.2", "c1\r\neth0");
    let released = |case: Case| {
        case.silent()
            .leaves(&["lock"])
            .answers_differ(reason)
            .files_differ(reason)
    };
    let host_only = |key: &str, value: Value| {
        let mut conf = subnet();
        conf["ipam"][key] = value;
        conf
    };
    run(&[
        released(held("no ranges").conf(&conf(json!({}))).del("c1")),
        released(
            held("an invalid subnet")
                .conf(&conf(json!({ "subnet": "x" })))
                .del("c1"),
        ),
        released(
            held("an overlap")
                .conf(&host_only("ranges", json!([[{ "subnet": "10.1.1.0/24" }]])))
                .del("c1"),
        ),
        released(
            held("an invalid route")
                .conf(&host_only("routes", json!([{ "dst": "x" }])))
                .del("c1"),
        ),
        released(
            held("an invalid request")
                .conf(&with(subnet(), "args", json!({ "cni": { "ips": ["x"] } })))
                .del("c1"),
        ),
        released(
            held("unknown CNI_ARGS")
                .conf(&subnet())
                .del("c1")
                .args("K8S_POD_NAME=p"),
        ),
        released(
            held("malformed CNI_ARGS")
                .conf(&subnet())
                .del("c1")
                .args("x"),
        ),
    ]);
}

#[test]
fn foreign_files_in_the_directory() {
    let debris = "an empty file is what a power cut leaves of one: nobody holds the address";
    let foreign = "DEL removes addresses, and nothing else that may lie in the directory";
    let own_first = "what is known of the attachment itself counts before what is known of its \
        container, as for DEL";
    let newline = "white space around the last address does not make the search start anew";
    run(&[
        case("an empty address file")
            .file("10.1.1.2", "")
            .conf(&subnet())
            .add("c1")
            .gives(&FIRST)
            .answers_differ(debris)
            .files_differ(debris),
        case("a file that is no address")
            .file("note", "c1\r\neth0")
            .file("10.1.1.2", "c1\r\neth0")
            .conf(&subnet())
            .del("c1")
            .silent()
            .leaves(&["lock", "note"])
            .files_differ(foreign),
        case("a directory in the directory")
            .file("backup/10.1.1.2", "c1\r\neth0")
            .conf(&subnet())
            .del("c1")
            .silent()
            .leaves(&["backup", "backup/10.1.1.2", "lock"])
            .files_differ(foreign),
        case("CHECK does not take such a file for an address")
            .file("note", "c1\r\neth0")
            .conf(&subnet())
            .check("c1")
            .fails("eth0 of container c1 holds no address")
            .answers_differ(foreign),
        case("a file of an older version beside one of today's")
            .file("10.1.1.2", "c1")
            .file("192.0.2.9", "c1\r\neth0")
            .conf(&subnet())
            .add("c1")
            .gives(&["10.1.1.3/24 via 10.1.1.1"])
            .answers_differ(own_first)
            .files_differ(own_first),
        case("a newline behind the last address")
            .file("last_reserved_ip.0", "10.1.1.7\n")
            .conf(&subnet())
            .add("c1")
            .gives(&["10.1.1.8/24 via 10.1.1.1"])
            .answers_differ(newline)
            .files_differ(newline),
    ]);
}

#[test]
fn configurations_that_only_ours_refuses() {
    let family = "a gateway of the other family cannot be one";
    let destination = "a route without a destination is none";
    let previous = "CHECK compares what the attachment holds with the addresses of prevResult";
    let own_netns =
        "the plugin's own network namespace is no container's; newer Go plugins refuse it too";
    let refused = |case: Case, message: &str, reason| {
        case.add("c1")
            .fails(message)
            .leaves(&[])
            .answers_differ(reason)
            .files_differ(reason)
    };
    run(&[
        refused(
            case("a gateway of the other family").conf(&conf(json!({ "subnet": "10.1.1.0/24", "gateway": "fd00::1" }))),
            "ipam: gateway fd00::1 is not of the address family of subnet 10.1.1.0/24",
            family,
        ),
        refused(
            case("a route without dst")
                .conf(&conf(json!({ "subnet": "10.1.1.0/24", "routes": [{ "gw": "10.1.1.1" }] }))),
            "ipam.routes[0]: missing field `dst`",
            destination,
        ),
        case("a prevResult with another address")
            .conf(&subnet())
            .add("c1")
            .gives(&FIRST)
            .conf(&with(
                subnet(),
                "prevResult",
                json!({ "cniVersion": "0.4.0", "ips": [{ "version": "4", "address": "10.1.1.9/24" }] }),
            ))
            .check("c1")
            .fails("eth0 of container c1 does not hold 10.1.1.9 of prevResult")
            .answers_differ(previous),
        case("the own namespace")
            .conf(&subnet())
            .add("c1")
            .env("CNI_NETNS", "/proc/self/ns/net")
            .fails("is the plugin's own network namespace")
            .leaves(&[])
            .answers_differ(own_netns)
            .files_differ(own_netns),
        case("null among requested addresses")
            .conf(&with(subnet(), "runtimeConfig", json!({ "ips": [null] })))
            .add("c1")
            .fails("runtimeConfig.ips[0]")
            .answers_differ("the Go plugin crashes"),
    ]);
}

/// Cases do not compare codes, because the Go plugin has one code for all errors of its own.
#[test]
fn codes_of_errors() {
    let Some(theirs) = require_reference("host-local") else {
        return;
    };
    let code = |program: &std::path::Path| {
        let temp = tempfile::tempdir().unwrap();
        let data_dir = temp.path().to_str().unwrap();
        let ipam = json!({ "subnet": "10.1.1.0/31", "dataDir": data_dir });
        let conf = json!({ "cniVersion": "1.0.0", "name": "net", "ipam": ipam });
        Invocation::attach(program, "ADD", "c1")
            .config(&conf)
            .run()
            .failure()
            .code
    };
    assert_eq!(
        (code(&binaries::plugin("host-local")), code(&theirs)),
        (7, 999)
    );
}
