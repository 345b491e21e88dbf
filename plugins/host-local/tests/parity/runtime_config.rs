//! Ranges in `runtimeConfig.ipRanges`.

use serde_json::{Value, json};

use crate::case::{case, conf, with};
use crate::run::run;

fn ranges(ipam: Value, ip_ranges: Value) -> Value {
    with(
        conf(ipam),
        "runtimeConfig",
        json!({ "ipRanges": ip_ranges }),
    )
}

#[test]
fn ip_ranges_come_before_those_of_the_configuration() {
    let flat = json!([{ "subnet": "10.1.1.0/24" }]);
    run(&[
        case("alone")
            .conf(&ranges(json!({}), json!([[{ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.9" }]])))
            .add("c1")
            .gives(&["10.1.1.9/24 via 10.1.1.1"])
            .check("c1")
            .silent()
            .del("c1")
            .silent(),
        case("before the old style, which is before the new one")
            .conf(&ranges(
                json!({ "subnet": "10.1.2.0/24", "ranges": [[{ "subnet": "10.1.3.0/24" }]] }),
                json!([[{ "subnet": "fd00::/64" }], [{ "subnet": "10.1.1.0/24" }]]),
            ))
            .add("c1")
            .gives(&[
                "fd00::2/64 via fd00::1",
                "10.1.1.2/24 via 10.1.1.1",
                "10.1.2.2/24 via 10.1.2.1",
                "10.1.3.2/24 via 10.1.3.1",
            ]),
        case("as containerd writes them")
            .conf(&ranges(
                json!({}),
                json!([
                    [{ "Subnet": "10.1.1.0/24", "RangeStart": "", "RangeEnd": "", "Gateway": "" }],
                    [{ "Subnet": "fd00::/64", "RangeStart": "fd00::9", "RangeEnd": "", "Gateway": "fd00::ff" }],
                ]),
            ))
            .add("c1")
            .gives(&["10.1.1.2/24 via 10.1.1.1", "fd00::9/64 via fd00::ff"]),
        case("none")
            .conf(&ranges(json!({ "subnet": "10.1.1.0/24" }), json!([])))
            .add("c1")
            .gives(&["10.1.1.2/24 via 10.1.1.1"]),
        case("a list that is not nested")
            .conf(&ranges(json!({ "subnet": "10.1.2.0/24" }), flat))
            .add("c1")
            .fails("runtimeConfig.ipRanges[0]"),
        case("an empty set")
            .conf(&ranges(json!({ "subnet": "10.1.2.0/24" }), json!([[]])))
            .add("c1")
            .fails("runtimeConfig.ipRanges[0]: empty range set"),
        case("overlap with the configuration's")
            .conf(&ranges(
                json!({ "subnet": "10.1.0.0/16" }),
                json!([[{ "subnet": "10.1.1.0/24" }]]),
            ))
            .add("c1")
            .fails("range set 0 overlaps with 1")
            .both_say("range set 0 overlaps with 1")
            .leaves(&[]),
    ]);
}
