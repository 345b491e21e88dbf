//! DEL.

use serde_json::json;
use testkit::expectations::del_of_a_namespace_that_is_gone;

use crate::support::conf::{dual_stack, ipv4, with};
use crate::support::container::Container;
use crate::support::lab::Lab;
use crate::support::side::both;
use crate::support::snapshot::{Snapshot, assert_same};

both!(
    everything_is_as_before,
    more_than_once,
    of_what_was_never_there,
    a_namespace_that_is_gone,
    no_namespace_is_told,
    the_link_is_gone_already,
    others_are_left_alone,
);

fn everything_is_as_before(lab: &Lab) {
    let (conf, container) = (dual_stack(json!({})), Container::new("a"));
    // The network's folder stays.
    lab.add(&container, &conf);
    lab.del(&container, &conf);
    let before = Snapshot::take(lab, &[&container]);
    let result = lab.add(&container, &conf);
    assert_eq!(lab.taken().len(), 2);
    lab.del(&container, &with(conf, json!({ "prevResult": result })));
    assert_same(&before, &Snapshot::take(lab, &[&container]), "ADD and DEL");
}

fn more_than_once(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    for _ in 0..2 {
        lab.add(&container, &conf);
        lab.del(&container, &conf);
        lab.del(&container, &conf);
        assert_eq!(container.link_names(), ["lo"]);
        assert_eq!(lab.taken(), [""; 0]);
    }
}

fn of_what_was_never_there(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &ipv4(json!({})));
    let before = Snapshot::take(lab, &[&a, &b]);
    lab.del(&b, &ipv4(json!({})));
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "DEL of another");
}

fn a_namespace_that_is_gone(lab: &Lab) {
    del_of_a_namespace_that_is_gone(lab, Container::new("a"), &ipv4(json!({})));
}

fn no_namespace_is_told(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    lab.add(&container, &conf);
    let del = lab.call("DEL", &container, &conf);
    lab.node.run(&del.clone().without("CNI_NETNS")).silent();
    assert_eq!(lab.taken(), [""; 0]);
    lab.node.run(&del).silent();
    assert_eq!(container.link_names(), ["lo"]);
}

fn the_link_is_gone_already(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    lab.add(&container, &conf);
    container.ip("link del eth0");
    lab.del(&container, &conf);
    assert_eq!(lab.taken(), [""; 0]);
}

fn others_are_left_alone(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &ipv4(json!({})));
    lab.add(&b, &ipv4(json!({})));
    lab.del(&a, &ipv4(json!({})));
    assert_eq!(b.link("eth0").addresses(), ["10.1.1.3/24"]);
    assert_eq!(lab.taken(), ["10.1.1.3"]);
    b.assert_reaches("10.1.1.1");
}
