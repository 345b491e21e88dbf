//! Ranges: their keys, their defaults, and the order of their addresses.

use serde_json::{Value, json};

use crate::case::{Case, case, conf};
use crate::run::run;

/// ADDs of containers `c0`, `c1`, … and the addresses that each gets.
fn gives(name: &str, ipam: Value, addresses: &[&[&str]]) -> Case {
    let start = case(name).conf(&conf(ipam));
    addresses
        .iter()
        .enumerate()
        .fold(start, |case, (index, addresses)| {
            case.add(&format!("c{index}")).gives(addresses)
        })
}

fn exhausted(case: Case, range_set: &str) -> Case {
    let message = format!("no IP addresses available in range set: {range_set}");
    case.add("last")
        .fails(&message)
        .both_say(&message)
        .both_say("failed to allocate for range 0")
}

#[test]
fn the_old_style_keys_are_one_more_range_set() {
    run(&[
        gives(
            "a subnet alone",
            json!({ "subnet": "10.1.1.0/24" }),
            &[&["10.1.1.2/24 via 10.1.1.1"], &["10.1.1.3/24 via 10.1.1.1"]],
        ),
        gives(
            "an IPv6 subnet alone",
            json!({ "subnet": "FD00:0::/64" }),
            &[&["fd00::2/64 via fd00::1"], &["fd00::3/64 via fd00::1"]],
        ),
        exhausted(
            gives(
                "rangeStart and rangeEnd",
                json!({ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.20", "rangeEnd": "10.1.1.21" }),
                &[
                    &["10.1.1.20/24 via 10.1.1.1"],
                    &["10.1.1.21/24 via 10.1.1.1"],
                ],
            ),
            "10.1.1.20-10.1.1.21",
        ),
        exhausted(
            gives(
                "one address",
                json!({ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.20", "rangeEnd": "10.1.1.20" }),
                &[&["10.1.1.20/24 via 10.1.1.1"]],
            ),
            "10.1.1.20-10.1.1.20",
        ),
        gives(
            "empty texts are unset",
            json!({ "subnet": "10.1.1.0/24", "rangeStart": "", "rangeEnd": "", "gateway": "" }),
            &[&["10.1.1.2/24 via 10.1.1.1"]],
        ),
    ]);
}

#[test]
fn the_default_range_excludes_network_and_broadcast_addresses() {
    run(&[
        exhausted(
            gives(
                "/30",
                json!({ "subnet": "10.1.1.4/30" }),
                &[&["10.1.1.6/30 via 10.1.1.5"]],
            ),
            "10.1.1.5-10.1.1.6",
        ),
        exhausted(
            gives(
                "IPv6 has no broadcast address",
                json!({ "subnet": "fd00::/126" }),
                &[&["fd00::2/126 via fd00::1"], &["fd00::3/126 via fd00::1"]],
            ),
            "fd00::1-fd00::3",
        ),
        exhausted(
            gives(
                "its own and the broadcast address, if they are asked for",
                json!({ "subnet": "10.1.1.4/30", "rangeStart": "10.1.1.4", "rangeEnd": "10.1.1.7" }),
                &[
                    &["10.1.1.4/30 via 10.1.1.5"],
                    &["10.1.1.6/30 via 10.1.1.5"],
                    &["10.1.1.7/30 via 10.1.1.5"],
                ],
            ),
            "10.1.1.4-10.1.1.7",
        ),
        gives(
            "a large subnet across a byte's end",
            json!({ "subnet": "10.0.0.0/8", "rangeStart": "10.1.1.255" }),
            &[&["10.1.1.255/8 via 10.0.0.1"], &["10.1.2.0/8 via 10.0.0.1"]],
        ),
        gives(
            "the same in IPv6",
            json!({ "subnet": "fd00::/16", "rangeStart": "fd00::ffff:ffff" }),
            &[
                &["fd00::ffff:ffff/16 via fd00::1"],
                &["fd00::1:0:0/16 via fd00::1"],
            ],
        ),
    ]);
}

#[test]
fn gateways_are_not_allocated() {
    let of = |gateway: &str| {
        json!({
            "subnet": "10.1.1.0/24",
            "rangeStart": "10.1.1.10",
            "rangeEnd": "10.1.1.12",
            "gateway": gateway,
        })
    };
    let set = "10.1.1.10-10.1.1.12";
    run(&[
        exhausted(
            gives(
                "first of the range",
                of("10.1.1.10"),
                &[
                    &["10.1.1.11/24 via 10.1.1.10"],
                    &["10.1.1.12/24 via 10.1.1.10"],
                ],
            ),
            set,
        ),
        exhausted(
            gives(
                "inside the range",
                of("10.1.1.11"),
                &[
                    &["10.1.1.10/24 via 10.1.1.11"],
                    &["10.1.1.12/24 via 10.1.1.11"],
                ],
            ),
            set,
        ),
        exhausted(
            gives(
                "last of the range",
                of("10.1.1.12"),
                &[
                    &["10.1.1.10/24 via 10.1.1.12"],
                    &["10.1.1.11/24 via 10.1.1.12"],
                ],
            ),
            set,
        ),
        gives(
            "outside the range",
            of("10.1.1.254"),
            &[&["10.1.1.10/24 via 10.1.1.254"]],
        ),
        gives(
            "outside the subnet",
            of("192.0.2.1"),
            &[&["10.1.1.10/24 via 192.0.2.1"]],
        ),
        exhausted(
            gives(
                "the range's only address",
                json!({ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.1", "rangeEnd": "10.1.1.1" }),
                &[],
            ),
            "10.1.1.1-10.1.1.1",
        )
        .files_differ("a mistake in the configuration makes nothing"),
    ]);
}

#[test]
fn each_range_set_gives_one_address() {
    run(&[
        gives(
            "dual stack",
            json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/64" }]] }),
            &[
                &["10.1.1.2/24 via 10.1.1.1", "fd00::2/64 via fd00::1"],
                &["10.1.1.3/24 via 10.1.1.1", "fd00::3/64 via fd00::1"],
            ],
        ),
        gives(
            "two sets of one family",
            json!({ "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "10.1.1.0/24" }]] }),
            &[&["10.1.2.2/24 via 10.1.2.1", "10.1.1.2/24 via 10.1.1.1"]],
        ),
        gives(
            "the old style's set comes before the others",
            json!({
                "subnet": "10.1.1.0/24",
                "rangeStart": "10.1.1.9",
                "ranges": [[{ "subnet": "fd00::/64" }], [{ "subnet": "10.1.0.0/24" }]],
            }),
            &[&[
                "10.1.1.9/24 via 10.1.1.1",
                "fd00::2/64 via fd00::1",
                "10.1.0.2/24 via 10.1.0.1",
            ]],
        ),
        gives(
            "an old style without a subnet is none",
            json!({ "rangeStart": "10.9.9.9", "gateway": "10.9.9.1", "ranges": [[{ "subnet": "10.1.1.0/24" }]] }),
            &[&["10.1.1.2/24 via 10.1.1.1"]],
        ),
        exhausted(
            gives(
                "from range to range, in their order",
                json!({ "ranges": [[
                    { "subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.10" },
                    { "subnet": "10.1.1.0/30" },
                    { "subnet": "10.1.2.0/24", "rangeEnd": "10.1.2.2", "gateway": "10.1.2.254" },
                ]] }),
                &[
                    &["10.1.2.9/24 via 10.1.2.1"],
                    &["10.1.2.10/24 via 10.1.2.1"],
                    &["10.1.1.2/30 via 10.1.1.1"],
                    &["10.1.2.1/24 via 10.1.2.254"],
                    &["10.1.2.2/24 via 10.1.2.254"],
                ],
            ),
            "10.1.2.9-10.1.2.10,10.1.1.1-10.1.1.2,10.1.2.1-10.1.2.2",
        ),
        case("one set without a free address leaves the other's alone")
            .file("fd00::2", "other\r\neth0")
            .file("fd00::3", "other\r\neth1")
            .conf(&conf(
                json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/126" }]] }),
            ))
            .add("c1")
            .fails(
                "failed to allocate for range 1: no IP addresses available in range set: \
                fd00::1-fd00::3",
            )
            .both_say(
                "failed to allocate for range 1: no IP addresses available in range set: \
                fd00::1-fd00::3",
            )
            .leaves(&["fd00::2", "fd00::3", "last_reserved_ip.0", "lock"]),
    ]);
}
