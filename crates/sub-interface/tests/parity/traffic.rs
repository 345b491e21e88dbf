//! Packets between containers and to the machine outside.

use serde_json::json;
use testkit::conf::{GATEWAY, GATEWAY6};
use testkit::wire::{Container, Lab};

use crate::side::both;

both!(containers_and_the_outside_reach_each_other);

fn containers_and_the_outside_reach_each_other(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    for container in [&a, &b] {
        lab.add(container, &lab.dual_stack(json!({})));
    }
    a.assert_reaches("10.1.1.3");
    a.assert_reaches("fd00:1::3");
    b.assert_reaches("10.1.1.2");
    b.assert_reaches(GATEWAY);
    b.assert_reaches(GATEWAY6);
    lab.del(&a, &lab.dual_stack(json!({})));
    b.assert_reaches(GATEWAY);
    assert!(!b.pings("10.1.1.2"));
}
