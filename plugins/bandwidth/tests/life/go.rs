//! What the Go plugin has left: a node is switched while its containers run.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::conf::with;
use testkit::requirements::require_reference;

use crate::support::{Container, Lab, MEGABIT, conf, end, limits, ours};

ours!(
    its_limits_are_removed,
    its_limits_pass_a_check,
    its_limits_are_replaced,
    gc_of_its_ifbs,
);

/// An ADD by the Go plugin.
#[track_caller]
fn add_by_go(lab: &Lab, container: &Container, conf: &Value) -> Option<Value> {
    let program: PathBuf = require_reference("bandwidth")?;
    let call = testkit::Invocation::attach(program, "ADD", &container.id)
        .netns(container.sandbox.path())
        .config(conf);
    Some(lab.node.run(&call).success())
}

fn its_limits_are_removed(lab: &Lab) {
    let a = lab.container("a");
    let chained = lab.chained(&a, limits(MEGABIT, MEGABIT));
    let Some(result) = add_by_go(lab, &a, &chained) else {
        return;
    };
    assert!(lab.ifbs()[0].starts_with("bwp"), "{:?}", lab.ifbs());
    // The result of the whole list has the ifb too.
    let del = with(conf(json!({})), json!({ "prevResult": result }));
    lab.del(&a, &del);
    assert_eq!((lab.kinds(&end(&a)), lab.ifbs()), (Vec::new(), Vec::new()));

    add_by_go(lab, &a, &chained);
    let del = lab.call("DEL", &a, &conf(json!({}))).without("CNI_NETNS");
    lab.node.run(&del).silent();
    assert_eq!(lab.ifbs(), [""; 0]);
}

fn its_limits_pass_a_check(lab: &Lab) {
    let a = lab.container("a");
    let keys = limits(MEGABIT, MEGABIT);
    let Some(result) = add_by_go(lab, &a, &lab.chained(&a, keys.clone())) else {
        return;
    };
    lab.check(&a, &conf(keys.clone()), &result).silent();
    let ifb = lab.ifbs().remove(0);
    lab.change_tc(&format!("qdisc del dev {ifb} root"));
    let says = ["egressRate has no effect", &ifb];
    lab.check(&a, &conf(keys), &result).refusal(120, &says);
}

/// The same ADD again, by ours.
fn its_limits_are_replaced(lab: &Lab) {
    let a = lab.container("a");
    let keys = limits(MEGABIT, MEGABIT);
    let chained = lab.chained(&a, keys.clone());
    if add_by_go(lab, &a, &chained).is_none() {
        return;
    }
    let result = lab.add(&a, &lab.chained(&a, limits(2 * MEGABIT, MEGABIT)));
    let check = lab.check(&a, &conf(limits(2 * MEGABIT, MEGABIT)), &result);
    check.silent();
    lab.del(&a, &chained);
    assert_eq!((lab.kinds(&end(&a)), lab.ifbs()), (Vec::new(), Vec::new()));
}

/// Its ifbs name no network: they go once no link leads to them.
fn gc_of_its_ifbs(lab: &Lab) {
    let (a, b) = (lab.container("a"), Container::new("b"));
    lab.plug_in(&b, "eth0", &end(&b));
    let keys = limits(MEGABIT, MEGABIT);
    if add_by_go(lab, &a, &lab.chained(&a, keys.clone())).is_none() {
        return;
    }
    let first = lab.ifbs();
    add_by_go(lab, &b, &lab.chained(&b, keys));
    // Of a container that is gone, its pair is gone too.
    lab.ip(&format!("link del {}", end(&b)));
    let gc = json!({ "cniVersion": "1.1.0", "cni.dev/valid-attachments": [] });
    for network in ["net", "other"] {
        let conf = with(conf(gc.clone()), json!({ "name": network }));
        lab.node.run(&lab.call_alone("GC", &conf)).silent();
        assert_eq!(lab.ifbs(), first);
    }
    lab.ip(&format!("link del {}", end(&a)));
    lab.node.run(&lab.call_alone("GC", &conf(gc))).silent();
    assert_eq!(lab.ifbs(), [""; 0]);
}
