//! What depends on the kernel: what it does not have, the plugin does without.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use testkit::conf::with;
use testkit::requirements::{leave_to_vm, skip_for_kernel};

use crate::support::traffic::{Way, time_of};
use crate::support::{INSIDE, INSIDE6, Lab, MEGABIT, OUTSIDE, OUTSIDE6, end, limits, ours};

ours!(
    flows_take_turns_below_the_limit,
    without_ifb_what_is_too_much_is_dropped,
    without_ifb_subnets_count
);

/// `fq_codel` below `tbf` and, with subnets, below `htb`.
fn flows_take_turns_below_the_limit(lab: &Lab) {
    let mut add = Command::new("tc");
    add.args("qdisc add dev lo root fq_codel".split(' '));
    if !lab.node.enter(|| add.output()).unwrap().status.success() {
        return skip_for_kernel("fq_codel");
    }
    let ingress = json!({ "ingressRate": MEGABIT, "ingressBurst": MEGABIT });
    for subnets in [json!({}), json!({ "unshapedSubnets": ["192.0.2.0/24"] })] {
        let a = lab.container("a");
        let conf = lab.chained(&a, with(ingress.clone(), subnets));
        lab.add(&a, &conf);
        let qdiscs = lab.tc("qdisc", &format!("dev {}", end(&a)));
        let below = |qdisc: &&Value| qdisc["kind"] == "fq_codel";
        let below = qdiscs.iter().find(below).unwrap();
        assert_eq!(below["parent"], "7457:1");
        // At 1 Mbit/s, a packet takes 12 ms: one and a half of these may wait.
        // The kernel counts in units of 1.024 µs.
        for (option, expected) in [("target", 18_000), ("interval", 360_000)] {
            let found = below["options"][option].as_u64().unwrap();
            assert!(found.abs_diff(expected) <= 2, "{option}: {found}");
        }
        lab.ip(&format!("link del {}", end(&a)));
    }
}

/// Whether the kernel cannot make an ifb.
#[track_caller]
fn lacks_ifb(lab: &Lab) -> bool {
    let mut add = Command::new("ip");
    add.args("link add probe0 type ifb".split(' '));
    let has_ifb = lab.node.enter(|| add.output()).unwrap().status.success();
    if has_ifb {
        lab.ip("link del probe0");
        leave_to_vm("needs a kernel without ifb");
    }
    !has_ifb
}

fn without_ifb_what_is_too_much_is_dropped(lab: &Lab) {
    if !lacks_ifb(lab) {
        return;
    }
    let a = lab.container("a");
    let conf = lab.chained(&a, limits(8 * MEGABIT, 800_000));
    let result = lab.add(&a, &conf);
    assert_eq!(result["interfaces"], conf["prevResult"]["interfaces"]);
    assert_eq!(lab.add(&a, &conf), result);
    lab.check(&a, &conf, &result).silent();
    for (inside, outside) in [(INSIDE, OUTSIDE), (INSIDE6, OUTSIDE6)] {
        // The bucket has room for 128 KiB.
        let elapsed = time_of(lab, &a, Way::OutOf, 600_000, inside, outside);
        assert!(elapsed.as_secs_f64() > 0.4, "{inside}: {elapsed:?}");
    }
    lab.change_tc(&format!("filter del dev {} ingress", end(&a)));
    let says = ["egressRate has no effect"];
    lab.check(&a, &conf, &result).refusal(120, &says);
    lab.add(&a, &conf);
    lab.check(&a, &conf, &result).silent();
    lab.del(&a, &conf);
    assert_eq!(lab.kinds(&end(&a)), [""; 0]);
}

fn without_ifb_subnets_count(lab: &Lab) {
    if !lacks_ifb(lab) {
        return;
    }
    for (number, subnets) in [
        json!({ "shapedSubnets": ["10.1.1.0/24", "fd00:1::/64"] }),
        json!({ "unshapedSubnets": ["192.0.2.0/24"] }),
        json!({ "unshapedSubnets": ["10.1.1.0/24", "fd00:1::/64"] }),
    ]
    .into_iter()
    .enumerate()
    {
        let a = lab.container("a");
        let conf = lab.chained(&a, with(limits(MEGABIT, MEGABIT), subnets));
        let result = lab.add(&a, &conf);
        lab.check(&a, &conf, &result).silent();
        let elapsed = time_of(lab, &a, Way::OutOf, 400_000, INSIDE, OUTSIDE);
        let is_limited = number < 2;
        assert_eq!(elapsed.as_secs_f64() > 1.5, is_limited, "{elapsed:?}");
        lab.ip(&format!("link del {}", end(&a)));
    }
}
