//! Requested addresses, in `CNI_ARGS`, `args.cni.ips` and `runtimeConfig.ips`.

use serde_json::{Value, json};

use crate::case::{Case, case, conf, with};
use crate::run::run;

fn dual_stack() -> Value {
    conf(json!({ "ranges": [
        [
            { "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.10", "rangeEnd": "10.1.1.20" },
            { "subnet": "10.1.2.0/24" },
        ],
        [{ "subnet": "fd00::/64" }],
    ] }))
}

/// The address of a container without a request.
const NEXT: [&str; 2] = ["10.1.1.10/24 via 10.1.1.1", "fd00::2/64 via fd00::1"];

fn in_args(conf: Value, ips: Value) -> Value {
    with(conf, "args", json!({ "cni": { "ips": ips } }))
}

fn by_runtime(conf: Value, ips: Value) -> Value {
    with(conf, "runtimeConfig", json!({ "ips": ips }))
}

fn asks(name: &str, cni_args: &str) -> Case {
    case(name).conf(&dual_stack()).add("c1").args(cni_args)
}

fn asks_in(name: &str, conf: &Value) -> Case {
    case(name).conf(conf).add("c1")
}

#[test]
fn an_address_is_requested_in_cni_args() {
    run(&[
        asks("an address", "IP=10.1.1.15").gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
        asks("with a prefix length", "IP=10.1.1.15/24")
            .gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
        asks(
            "with another prefix length than the subnet's",
            "IP=10.1.1.15/8",
        )
        .gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
        asks("of the set's second range", "IP=10.1.2.77")
            .gives(&["10.1.2.77/24 via 10.1.2.1", NEXT[1]]),
        asks("of the second set", "IP=fd00::77").gives(&[NEXT[0], "fd00::77/64 via fd00::1"]),
        asks("not in canonical form", "IP=FD00:0::0077/64")
            .gives(&[NEXT[0], "fd00::77/64 via fd00::1"])
            .leaves(&[
                "10.1.1.10",
                "fd00::77",
                "last_reserved_ip.0",
                "last_reserved_ip.1",
                "lock",
            ]),
        asks("IPv4 in IPv6", "IP=::ffff:10.1.1.15").gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
        asks(
            "beside what the runtime tells other plugins",
            "IgnoreUnknown=1;K8S_POD_NAME=p;IP=10.1.1.15",
        )
        .gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
        asks("the last one counts", "IP=10.1.1.15;IP=10.1.1.16")
            .gives(&["10.1.1.16/24 via 10.1.1.1", NEXT[1]]),
        asks("none", "IP=").gives(&NEXT),
    ]);
}

#[test]
fn addresses_are_requested_in_the_configuration() {
    run(&[
        asks_in("args.cni.ips", &in_args(dual_stack(), json!(["10.1.1.15"])))
            .gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
        asks_in(
            "args.cni.ips of both families",
            &in_args(dual_stack(), json!(["fd00::77/64", "10.1.1.15/24"])),
        )
        .gives(&["10.1.1.15/24 via 10.1.1.1", "fd00::77/64 via fd00::1"]),
        asks_in(
            "runtimeConfig.ips",
            &by_runtime(dual_stack(), json!(["10.1.1.15/24"])),
        )
        .gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
        asks_in(
            "runtimeConfig.ips of both families",
            &by_runtime(dual_stack(), json!(["10.1.2.77", "fd00::77"])),
        )
        .gives(&["10.1.2.77/24 via 10.1.2.1", "fd00::77/64 via fd00::1"]),
        asks_in(
            "no addresses",
            &in_args(by_runtime(dual_stack(), json!([])), json!([])),
        )
        .gives(&NEXT),
        case("from three places at once")
            .conf(&in_args(
                by_runtime(
                    conf(json!({ "ranges": [
                        [{ "subnet": "10.1.1.0/24" }],
                        [{ "subnet": "10.1.2.0/24" }],
                        [{ "subnet": "10.1.3.0/24" }],
                    ] })),
                    json!(["10.1.1.9"]),
                ),
                json!(["10.1.3.9"]),
            ))
            .add("c1")
            .args("IP=10.1.2.9")
            .gives(&[
                "10.1.1.9/24 via 10.1.1.1",
                "10.1.2.9/24 via 10.1.2.1",
                "10.1.3.9/24 via 10.1.3.1",
            ]),
        case("the same one from three places")
            .conf(&in_args(
                by_runtime(dual_stack(), json!(["10.1.1.15/24"])),
                json!(["10.1.1.15"]),
            ))
            .add("c1")
            .args("IP=10.1.1.15")
            .gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]]),
    ]);
}

#[test]
fn the_search_continues_after_a_requested_address() {
    run(&[case("round robin")
        .conf(&conf(json!({ "subnet": "10.1.1.0/24" })))
        .add("c1")
        .gives(&["10.1.1.2/24 via 10.1.1.1"])
        .add("c2")
        .args("IP=10.1.1.254")
        .gives(&["10.1.1.254/24 via 10.1.1.1"])
        .add("c3")
        .gives(&["10.1.1.3/24 via 10.1.1.1"])
        .add("c4")
        .args("IP=10.1.1.100")
        .gives(&["10.1.1.100/24 via 10.1.1.1"])
        .add("c5")
        .gives(&["10.1.1.101/24 via 10.1.1.1"])]);
}

#[test]
fn requests_for_unavailable_addresses_are_refused() {
    let dual = dual_stack();
    run(&[
        case("taken")
            .conf(&dual)
            .add("c1")
            .args("IP=10.1.1.15")
            .gives(&["10.1.1.15/24 via 10.1.1.1", NEXT[1]])
            .add("c2")
            .args("IP=10.1.1.15")
            .fails(
                "failed to allocate for range 0: requested IP address 10.1.1.15 is not available in range set \
                 10.1.1.10-10.1.1.20,10.1.2.1-10.1.2.254",
            )
            .both_say("requested IP address 10.1.1.15 is not available in range set \
                10.1.1.10-10.1.1.20,10.1.2.1-10.1.2.254")
            .del("c1")
            .silent()
            .add("c2")
            .args("IP=10.1.1.15")
            .gives(&["10.1.1.15/24 via 10.1.1.1", "fd00::3/64 via fd00::1"]),
        case("taken in the second set, after the first one gave")
            .file("fd00::77", "other\r\neth0")
            .conf(&dual)
            .add("c1")
            .args("IP=fd00::77")
            .fails("failed to allocate for range 1: requested IP address fd00::77 is not available")
            .leaves(&["fd00::77", "last_reserved_ip.0", "lock"]),
        asks("the gateway of the second range", "IP=10.1.2.1")
            .fails("requested IP address 10.1.2.1 is the subnet's gateway")
            .leaves(&["lock"]),
        asks("a gateway outside the range is outside the set", "IP=10.1.1.1")
            .fails("failed to allocate all requested IPs: 10.1.1.1")
            .both_say("failed to allocate all requested IPs: 10.1.1.1")
            .files_differ(CHECKED_FIRST),
        asks("an address of the subnet outside the range", "IP=10.1.1.21")
            .fails("failed to allocate all requested IPs: 10.1.1.21")
            .both_say("failed to allocate all requested IPs: 10.1.1.21")
            .leaves(&["lock"])
            .files_differ(CHECKED_FIRST),
        asks("the broadcast address", "IP=10.1.2.255")
            .fails("failed to allocate all requested IPs: 10.1.2.255")
            .leaves(&["lock"])
            .files_differ(CHECKED_FIRST),
        asks_in("two of one set", &in_args(dual, json!(["10.1.1.15", "10.1.1.16"])))
            .fails("failed to allocate all requested IPs: 10.1.1.16")
            .leaves(&["lock"])
            .files_differ(CHECKED_FIRST),
        asks("no address", "IP=10.1.1.300").fails("\"10.1.1.300\" is no IP address").leaves(&[]),
        asks("no prefix length", "IP=10.1.1.15/33").fails("\"10.1.1.15/33\" is no network"),
        asks_in("no address in args.cni.ips", &in_args(dual_stack(), json!(["10.1.1.15", "x"])))
            .fails("args.cni.ips[1]: \"x\" is no IP address"),
        asks_in("no address in runtimeConfig.ips", &by_runtime(dual_stack(), json!(["10.1.1"])))
            .fails("runtimeConfig.ips[0]: \"10.1.1\" is no IP address"),
        asks_in("a number", &by_runtime(dual_stack(), json!([10]))).fails("runtimeConfig.ips[0]"),
    ]);
}

const CHECKED_FIRST: &str = "ours looks at all requested addresses before it gives any; the Go \
    plugin gives, takes back and has moved on";
