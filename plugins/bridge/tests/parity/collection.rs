//! GC of stale attachments.

use serde_json::{Value, json};
use testkit::Invocation;

use crate::support::conf::{dual_stack, with};
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, NODE, OUTSIDE};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};
use crate::support::traffic::{assert_reaches, listen_in, seen_from};

ours!(
    gc_removes_rules_and_addresses,
    gc_without_valid_attachments_removes_all,
    gc_keeps_valid_attachments,
    other_networks_are_left_alone,
    gc_without_a_list_removes_nothing,
    gc_distinguishes_the_interfaces_of_a_container,
);

fn conf() -> Value {
    dual_stack(json!({
        "cniVersion": "1.1.0",
        "isDefaultGateway": true,
        "ipMasq": true,
        "macspoofchk": true,
    }))
}

fn gc(lab: &Lab, conf: &Value, valid: &Value) -> Invocation {
    let conf = with(conf.clone(), json!({ "cni.dev/valid-attachments": valid }));
    lab.call_alone("GC", &conf)
}

fn attachment(id: &str) -> Value {
    json!({ "containerID": id, "ifname": "eth0" })
}

fn gc_removes_rules_and_addresses(lab: &Lab) {
    let outside = outside::connect(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    let mac = a.link("eth0").mac().to_owned();
    drop(a);
    lab.add(&b, &conf());
    lab.node
        .run(&gc(lab, &conf(), &json!([attachment("b")])))
        .silent();
    assert_eq!(lab.taken(), ["10.1.1.3", "fd00:1::3"]);
    let rules = lab.ruleset();
    for gone in ["10.1.1.2", "fd00:1::2", &mac] {
        assert!(!rules.contains(gone), "{gone}: {rules}");
    }
    assert_reaches(&b, OUTSIDE);
    let seen = seen_from(listen_in(&outside), OUTSIDE, &b.sandbox);
    assert_eq!(seen, NODE);
}

fn gc_without_valid_attachments_removes_all(lab: &Lab) {
    for valid in [json!([]), Value::Null] {
        let container = Container::new("a");
        lab.add(&container, &conf());
        lab.node.run(&gc(lab, &conf(), &valid)).silent();
        assert_eq!(lab.taken(), [""; 0]);
        let rules = lab.ruleset();
        assert!(
            !rules.contains("10.1.1.") && !rules.contains("fd00:1:"),
            "{rules}"
        );
        lab.del(&container, &conf());
    }
}

fn gc_keeps_valid_attachments(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(&b, &conf());
    let before = Snapshot::take(lab, &[&a, &b]);
    let valid = json!([attachment("a"), attachment("b"), attachment("c")]);
    lab.node.run(&gc(lab, &conf(), &valid)).silent();
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "GC");
}

fn other_networks_are_left_alone(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &conf());
    let before = Snapshot::take(lab, &[&container]);
    let other = with(conf(), json!({ "name": "other" }));
    lab.node.run(&gc(lab, &other, &json!([]))).silent();
    assert_same(
        &before,
        &Snapshot::take(lab, &[&container]),
        "GC of another network",
    );
}

fn gc_without_a_list_removes_nothing(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &conf());
    let before = Snapshot::take(lab, &[&container]);
    lab.node.run(&lab.call_alone("GC", &conf())).silent();
    assert_same(
        &before,
        &Snapshot::take(lab, &[&container]),
        "GC without a list",
    );
}

/// An attachment is a container and an interface, not a container alone.
fn gc_distinguishes_the_interfaces_of_a_container(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &conf());
    let second = lab.call("ADD", &container, &conf()).ifname("eth1");
    lab.node.run(&second).success();
    lab.node
        .run(&gc(lab, &conf(), &json!([attachment("a")])))
        .silent();
    assert_eq!(lab.taken(), ["10.1.1.2", "fd00:1::2"]);
    let rules = lab.ruleset();
    assert!(
        rules.contains("10.1.1.2") && rules.contains("fd00:1::2"),
        "{rules}"
    );
    assert!(
        !rules.contains("10.1.1.3") && !rules.contains("fd00:1::3"),
        "{rules}"
    );
}
