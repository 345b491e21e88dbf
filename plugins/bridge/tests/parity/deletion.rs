//! DEL.

use serde_json::{Value, json};
use testkit::expectations::del_of_a_namespace_that_is_gone;

use crate::support::conf::{BRIDGE, dual_stack, layer2, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::both;
use crate::support::snapshot::{Snapshot, assert_same};
use crate::support::traffic::assert_reaches;

both!(
    del_removes_everything,
    del_can_be_repeated,
    del_without_an_add_succeeds,
    del_with_a_missing_namespace_removes_the_rest,
    del_without_cni_netns_succeeds,
    del_with_a_missing_link_removes_the_rest,
    del_accepts_prev_result,
    others_are_left_alone,
);

fn conf() -> Value {
    dual_stack(json!({ "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true }))
}

/// Only the bridge of the containers' network exists any more.
#[track_caller]
fn assert_gone(lab: &Lab) {
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
    assert_eq!(lab.taken(), [""; 0]);
    let rules = lab.ruleset();
    assert!(
        !rules.contains("10.1.1.") && !rules.contains("fd00:1:"),
        "{rules}"
    );
}

fn del_removes_everything(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &conf());
    assert_eq!(lab.taken(), ["10.1.1.2", "fd00:1::2"]);
    assert!(lab.ruleset().contains("10.1.1.2"), "{}", lab.ruleset());
    assert!(lab.ruleset().contains("fd00:1::2"), "{}", lab.ruleset());
    lab.del(&container, &conf());
    assert_eq!(container.link_names(), ["lo"]);
    assert_gone(lab);
}

fn del_can_be_repeated(lab: &Lab) {
    let container = Container::new("a");
    for _ in 0..2 {
        lab.add(&container, &conf());
        lab.del(&container, &conf());
        lab.del(&container, &conf());
        assert_gone(lab);
        assert_eq!(container.link_names(), ["lo"]);
    }
}

fn del_without_an_add_succeeds(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.del(&a, &conf());
    assert_eq!(lab.links().len(), 1, "DEL makes no bridge");
    lab.add(&a, &conf());
    let before = Snapshot::take(lab, &[&a]);
    lab.del(&b, &conf());
    lab.del(&b, &layer2(json!({ "bridge": "other" })));
    assert_same(&before, &Snapshot::take(lab, &[&a]), "DEL of another");
}

fn del_with_a_missing_namespace_removes_the_rest(lab: &Lab) {
    let conf = dual_stack(json!({ "isGateway": true }));
    del_of_a_namespace_that_is_gone(lab, Container::new("a"), &conf);
}

fn del_without_cni_netns_succeeds(lab: &Lab) {
    let conf = dual_stack(json!({ "isGateway": true }));
    let container = Container::new("a");
    lab.add(&container, &conf);
    let del = lab.call("DEL", &container, &conf);
    lab.node.run(&del.clone().netns("")).silent();
    assert_eq!(lab.taken(), [""; 0]);
    lab.node.run(&del.clone().without("CNI_NETNS")).silent();
    // With the path, the rest is removed too.
    lab.node.run(&del).silent();
    assert_eq!(container.link_names(), ["lo"]);
    assert_gone(lab);
}

fn del_with_a_missing_link_removes_the_rest(lab: &Lab) {
    let conf = dual_stack(json!({ "isGateway": true }));
    let container = Container::new("a");
    lab.add(&container, &conf);
    container.ip("link del eth0");
    lab.del(&container, &conf);
    assert_gone(lab);
}

fn del_accepts_prev_result(lab: &Lab) {
    let container = Container::new("a");
    let result = lab.add(&container, &conf());
    lab.del(&container, &with(conf(), json!({ "prevResult": result })));
    assert_eq!(container.link_names(), ["lo"]);
    assert_gone(lab);
}

fn others_are_left_alone(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(&b, &conf());
    lab.del(&a, &conf());
    assert_eq!(b.link("eth0").addresses(), ["10.1.1.3/24", "fd00:1::3/64"]);
    assert_eq!(lab.taken(), ["10.1.1.3", "fd00:1::3"]);
    assert_reaches(&b, "10.1.1.1");
    assert_reaches(&b, "fd00:1::1");
    let rules = lab.ruleset();
    assert!(
        rules.contains("10.1.1.3") && rules.contains("fd00:1::3"),
        "{rules}"
    );
    assert!(
        !rules.contains("10.1.1.2") && !rules.contains("fd00:1::2"),
        "{rules}"
    );
}
