//! What makes no sense is refused, and changes nothing.

use serde_json::{Value, json};
use testkit::conf::without;

use crate::support::{Container, Lab, MEGABIT, Side, both, end, limits};

both!(
    half_a_limit,
    a_rate_that_is_no_number,
    no_previous_result,
    no_veth,
    no_such_interface,
);

/// An ADD fails: ours with a code and these words.
#[track_caller]
fn assert_refused(lab: &Lab, container: &Container, conf: &Value, code: u64, says: &[&str]) {
    let outcome = lab.node.run(&lab.call("ADD", container, conf));
    match lab.side {
        Side::Ours => drop(outcome.refusal(code, says)),
        Side::Reference => drop(outcome.failure()),
    }
    assert_eq!(lab.ifbs(), [""; 0]);
}

fn half_a_limit(lab: &Lab) {
    let a = lab.container("a");
    for direction in ["ingress", "egress"] {
        for (has, lacks) in [("Rate", "Burst"), ("Burst", "Rate")] {
            let (has, lacks) = (format!("{direction}{has}"), format!("{direction}{lacks}"));
            let half = json!({ &*has: MEGABIT });
            let says = format!("{has} is 1000000 without {lacks}: give both, or neither");
            assert_refused(lab, &a, &lab.chained(&a, half.clone()), 7, &[&says]);
            let says = format!("runtimeConfig.bandwidth.{has} is 1000000 without runtimeConfig");
            let capability = json!({ "runtimeConfig": { "bandwidth": half } });
            assert_refused(lab, &a, &lab.chained(&a, capability), 7, &[&says]);
        }
    }
    assert_eq!(lab.root(&end(&a)), None);
}

fn a_rate_that_is_no_number(lab: &Lab) {
    let a = lab.container("a");
    for rate in [json!("10M"), json!(-1), json!(1.5), json!([])] {
        let conf = lab.chained(&a, json!({ "ingressRate": rate, "ingressBurst": 1 }));
        assert_refused(lab, &a, &conf, 6, &["ingressRate: invalid"]);
    }
}

fn no_previous_result(lab: &Lab) {
    let a = lab.container("a");
    let conf = without(lab.chained(&a, limits(MEGABIT, MEGABIT)), "prevResult");
    assert_refused(lab, &a, &conf, 7, &["prevResult", "is missing"]);
}

fn no_veth(lab: &Lab) {
    let a = Container::new("a");
    a.ip("link add eth0 type bridge");
    lab.ip("link add node-a type bridge");
    let conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
    let says = ["veth", "interface eth0", "of kind bridge"];
    assert_refused(lab, &a, &conf, 7, &says);
}

fn no_such_interface(lab: &Lab) {
    let a = lab.container("a");
    let conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
    a.ip("link set eth0 down");
    a.ip("link set eth0 name eth1");
    assert_refused(lab, &a, &conf, 4, &["CNI_IFNAME eth0"]);
}
