//! The state at the end of a call that removes a link.

use serde_json::json;
use testkit::removal::{an_add_that_fails, comes_and_goes};

use crate::support::conf::ipv4;
use crate::support::container::Container;
use crate::support::lab::Lab;
use crate::support::side::ours;

ours!(
    del_removes_the_link_at_once,
    a_failed_add_removes_the_link_at_once
);

fn del_removes_the_link_at_once(lab: &Lab) {
    let container = Container::new("a");
    comes_and_goes(lab, &container, &ipv4(json!({})), |del| {
        lab.node.run(del).silent();
    });
}

fn a_failed_add_removes_the_link_at_once(lab: &Lab) {
    an_add_that_fails(lab, &ipv4(json!({})));
}
