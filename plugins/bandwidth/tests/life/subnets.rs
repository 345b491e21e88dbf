//! `shapedSubnets` and `unshapedSubnets`: with whom the traffic is limited.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::conf::with;

use crate::support::traffic::{Way, time_of};
use crate::support::{Container, INSIDE, INSIDE6, Lab, OUTSIDE, OUTSIDE6, end, limits, ours};

ours!(
    shaped,
    unshaped,
    an_add_with_subnets_is_repeated,
    more_subnets_than_the_kernel_numbers_in_order,
    what_is_refused
);

/// More addresses of the node, beyond the container's own networks.
const FAR: &str = "10.2.2.1";
const FAR6: &str = "fd00:2::1";

/// With 800 kbit/s and a burst of 10 kB, this takes two seconds, less what the last packet is ahead
/// of its time.
const BYTES: usize = 210_000;

fn with_far_addresses(lab: &Lab) -> Container {
    let a = lab.container("a");
    lab.ip(&format!("address add {FAR}/32 dev lo"));
    lab.ip(&format!("address add {FAR6}/128 dev lo"));
    a.ip(&format!("route add 10.2.2.0/24 via {OUTSIDE}"));
    a.ip(&format!("route add fd00:2::/64 via {OUTSIDE6}"));
    a
}

fn keys(subnets: Value) -> Value {
    with(limits(800_000, 80_000), subnets)
}

#[track_caller]
fn assert_limited(lab: &Lab, a: &Container, is_limited: bool, inside: &str, outside: &str) {
    for way in [Way::Into, Way::OutOf] {
        let elapsed = time_of(lab, a, way, BYTES, inside, outside);
        let is_slow = elapsed > Duration::from_millis(1500);
        assert_eq!(is_slow, is_limited, "{way:?} {outside}: {elapsed:?}");
    }
}

fn shaped(lab: &Lab) {
    let a = with_far_addresses(lab);
    let subnets = json!({ "shapedSubnets": ["fd00:2::/64", "10.2.2.0/24", "192.0.2.0/24"] });
    let conf = lab.chained(&a, keys(subnets));
    let result = lab.add(&a, &conf);
    for (inside, near, far) in [(INSIDE, OUTSIDE, FAR), (INSIDE6, OUTSIDE6, FAR6)] {
        assert_limited(lab, &a, true, inside, far);
        assert_limited(lab, &a, false, inside, near);
    }
    lab.check(&a, &conf, &result).silent();
    lab.del(&a, &conf);
    assert_eq!((lab.kinds(&end(&a)), lab.ifbs()), (Vec::new(), Vec::new()));
}

fn unshaped(lab: &Lab) {
    let a = with_far_addresses(lab);
    let subnets = json!({ "unshapedSubnets": ["10.2.2.0/24", "fd00:2::/64"] });
    let conf = lab.chained(&a, keys(subnets));
    let result = lab.add(&a, &conf);
    for (inside, near, far) in [(INSIDE, OUTSIDE, FAR), (INSIDE6, OUTSIDE6, FAR6)] {
        assert_limited(lab, &a, false, inside, far);
        assert_limited(lab, &a, true, inside, near);
    }
    lab.check(&a, &conf, &result).silent();
}

fn an_add_with_subnets_is_repeated(lab: &Lab) {
    let a = lab.container("a");
    let end = end(&a);
    let filters = || {
        let all = |parent: &str| lab.tc("filter", &format!("dev {end} {parent}"));
        (all("parent 7457:").len(), all("ingress").len())
    };
    let conf = |subnets: &[&str]| lab.chained(&a, keys(json!({ "unshapedSubnets": subnets })));
    let first = conf(&["10.0.0.0/8", "fd00::/8"]);
    let result = lab.add(&a, &first);
    let before = filters();
    assert_eq!(lab.add(&a, &first), result);
    assert_eq!(filters(), before);
    // With others, it is as if it were the first.
    let second = conf(&["10.0.0.0/8"]);
    assert_eq!(lab.add(&a, &second), result);
    assert!(filters().0 < before.0 && filters().1 < before.1);
    lab.check(&a, &second, &result).silent();
    let says = ["ingressRate has no effect", "a filter of the qdisc"];
    lab.check(&a, &first, &result).refusal(120, &says);
}

fn more_subnets_than_the_kernel_numbers_in_order(lab: &Lab) {
    let a = lab.container("a");
    let subnets: Vec<_> = (0..2100)
        .map(|number| format!("10.{}.{}.0/24", number / 256, number % 256))
        .collect();
    let conf = lab.chained(&a, keys(json!({ "shapedSubnets": subnets })));
    let result = lab.add(&a, &conf);
    lab.check(&a, &conf, &result).silent();
    let filter = "protocol ip prio 29783 handle 800::1";
    lab.change_tc(&format!(
        "filter del dev {} parent 7457: {filter} u32",
        end(&a)
    ));
    let says = ["ingressRate has no effect", "a filter of the qdisc"];
    lab.check(&a, &conf, &result).refusal(120, &says);
    lab.del(&a, &conf);
}

fn what_is_refused(lab: &Lab) {
    let a = lab.container("a");
    for (subnets, says) in [
        (
            json!({ "shapedSubnets": ["10.0.0.0/8"], "unshapedSubnets": ["10.0.0.0/8"] }),
            "shapedSubnets and unshapedSubnets exclude each other",
        ),
        (
            json!({ "unshapedSubnets": ["10.0.0.0/8", "10.0.0.0/33"] }),
            r#"unshapedSubnets[1] "10.0.0.0/33" is no network"#,
        ),
        (
            json!({ "shapedSubnets": "10.0.0.0/8" }),
            "shapedSubnets: invalid type",
        ),
    ] {
        let conf = lab.chained(&a, keys(subnets.clone()));
        let code = if subnets["shapedSubnets"].is_string() {
            6
        } else {
            7
        };
        let outcome = lab.node.run(&lab.call("ADD", &a, &conf));
        outcome.refusal(code, &[says]);
        assert_eq!((lab.root(&end(&a)), lab.ifbs()), (None, Vec::new()));
    }
    // Where nothing is limited, nobody looks at them.
    let nothing = json!({ "shapedSubnets": ["nonsense"], "ingressRate": 0 });
    lab.add(&a, &lab.chained(&a, nothing));
}
