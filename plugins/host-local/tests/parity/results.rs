//! The shape of results in each version.

use serde_json::{Value, json};

use crate::case::{Case, case, conf, conf_of, with};
use crate::run::run;

const RESOLV_CONF: &str = "\
# nameserver 192.0.2.9
; nameserver 192.0.2.8

nameserver 192.0.2.1
  nameserver\t2001:db8::1 # a second word is not read
nameserver
#nameserver 192.0.2.7
domain old.example
domain new.example ignored.example
domain
search a.example b.example
search c.example
options ndots:5 rotate
options edns0
sortlist 10.0.0.0
unknown keyword
";

fn dual_stack() -> Value {
    json!({
        "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00:1::/64", "gateway": "fd00:1::ff" }]],
        "routes": [
            { "dst": "0.0.0.0/0" },
            { "dst": "192.0.2.0/24", "gw": "10.1.1.9" },
            { "dst": "::/0", "gw": "fd00:1::9" },
        ],
        "resolvConf": "{temp}/resolv.conf",
    })
}

fn dns() -> Value {
    json!({
        "nameservers": ["192.0.2.1", "2001:db8::1"],
        "domain": "new.example",
        "search": ["a.example", "b.example", "c.example"],
        "options": ["ndots:5", "rotate", "edns0"],
    })
}

fn routes() -> Value {
    json!([
        { "dst": "0.0.0.0/0" },
        { "dst": "192.0.2.0/24", "gw": "10.1.1.9" },
        { "dst": "::/0", "gw": "fd00:1::9" },
    ])
}

#[test]
fn versions_with_one_address_per_family() {
    let expected = |version: &str| {
        json!({
            "cniVersion": version,
            "ip4": {
                "ip": "10.1.1.2/24",
                "gateway": "10.1.1.1",
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "192.0.2.0/24", "gw": "10.1.1.9" }],
            },
            "ip6": {
                "ip": "fd00:1::1/64",
                "gateway": "fd00:1::ff",
                "routes": [{ "dst": "::/0", "gw": "fd00:1::9" }],
            },
            "dns": dns(),
        })
    };
    let absent = with(conf(dual_stack()), "cniVersion", Value::Null);
    run(&[
        shape("0.1.0", &conf_of("0.1.0", dual_stack()), expected("0.1.0")),
        shape("0.2.0", &conf_of("0.2.0", dual_stack()), expected("0.2.0")),
        shape(
            "an empty version",
            &conf_of("", dual_stack()),
            expected("0.1.0"),
        ),
        shape("no version", &absent, expected("0.1.0")),
        case("only IPv6 in 0.2.0")
            .conf(&conf_of(
                "0.2.0",
                json!({ "subnet": "fd00:1::/64", "routes": [{ "dst": "10.0.0.0/8" }] }),
            ))
            .add("c1")
            .results_in(json!({
                "cniVersion": "0.2.0",
                "ip6": { "ip": "fd00:1::2/64", "gateway": "fd00:1::1" },
                "dns": {},
            })),
    ]);
}

#[test]
fn versions_with_a_list_of_addresses() {
    let before_1_0 = |version: &str| {
        json!({
            "cniVersion": version,
            "ips": [
                { "version": "4", "address": "10.1.1.2/24", "gateway": "10.1.1.1" },
                { "version": "6", "address": "fd00:1::1/64", "gateway": "fd00:1::ff" },
            ],
            "routes": routes(),
            "dns": dns(),
        })
    };
    let mut cases: Vec<Case> = ["0.3.0", "0.3.1", "0.4.0"]
        .iter()
        .map(|version| {
            shape(
                version,
                &conf_of(version, dual_stack()),
                before_1_0(version),
            )
        })
        .collect();
    cases.push(shape(
        "1.0.0",
        &conf_of("1.0.0", dual_stack()),
        json!({
            "cniVersion": "1.0.0",
            "ips": [
                { "address": "10.1.1.2/24", "gateway": "10.1.1.1" },
                { "address": "fd00:1::1/64", "gateway": "fd00:1::ff" },
            ],
            "routes": routes(),
            "dns": dns(),
        }),
    ));
    run(&cases);
}

fn shape(name: &str, conf: &Value, expected: Value) -> Case {
    case(name)
        .file_at("resolv.conf", RESOLV_CONF)
        .conf(conf)
        .add("c1")
        .results_in(expected)
        .leaves(&[
            "10.1.1.2",
            "fd00:1::1",
            "last_reserved_ip.0",
            "last_reserved_ip.1",
            "lock",
        ])
}

#[test]
fn results_without_routes_and_dns() {
    let nothing = |version: &str| {
        json!({
            "cniVersion": version,
            "ips": [{ "version": "4", "address": "10.1.1.2/24", "gateway": "10.1.1.1" }],
            "dns": {},
        })
    };
    let subnet = json!({ "subnet": "10.1.1.0/24" });
    let no_routes = json!({ "subnet": "10.1.1.0/24", "routes": [], "resolvConf": "" });
    let empty_file = json!({ "subnet": "10.1.1.0/24", "resolvConf": "{temp}/resolv.conf" });
    run(&[
        case("0.3.0")
            .conf(&conf_of("0.3.0", subnet.clone()))
            .add("c1")
            .results_in(nothing("0.3.0")),
        case("0.4.0")
            .conf(&conf(subnet))
            .add("c1")
            .results_in(nothing("0.4.0")),
        case("an empty list and no file")
            .conf(&conf(no_routes))
            .add("c1")
            .results_in(nothing("0.4.0")),
        case("a file without settings")
            .file_at("resolv.conf", "# nothing\n\n")
            .conf(&conf(empty_file))
            .add("c1")
            .results_in(nothing("0.4.0")),
    ]);
}

#[test]
fn routes_keep_their_spelling() {
    let configured = json!([
        { "dst": "3ffe:ffff:0:01ff::1/64" },
        { "dst": "10.9.9.9/8", "gw": "" },
        { "dst": "10.1.0.0/16", "gw": null },
        { "dst": "FD00::/8", "gw": "FD00:0::1" },
        { "dst": "192.0.2.1/32", "gw": "fd00::1" },
        { "dst": "10.9.9.9/8" },
    ]);
    let given = json!([
        { "dst": "3ffe:ffff:0:1ff::1/64" },
        { "dst": "10.9.9.9/8" },
        { "dst": "10.1.0.0/16" },
        { "dst": "fd00::/8", "gw": "fd00::1" },
        { "dst": "192.0.2.1/32", "gw": "fd00::1" },
        { "dst": "10.9.9.9/8" },
    ]);
    run(&[case("host bits, order and repetition are kept")
        .conf(&conf(
            json!({ "subnet": "10.1.1.0/24", "routes": configured }),
        ))
        .add("c1")
        .results_in(json!({
            "cniVersion": "0.4.0",
            "ips": [{ "version": "4", "address": "10.1.1.2/24", "gateway": "10.1.1.1" }],
            "routes": given,
            "dns": {},
        }))]);
}
