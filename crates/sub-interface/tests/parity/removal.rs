//! The state at the end of a call that removes a link.

use serde_json::json;
use testkit::removal::{an_add_that_fails, comes_and_goes};
use testkit::wire::{Container, Lab};

use crate::side::ours;

ours!(
    del_removes_the_link_at_once,
    a_failed_add_removes_the_link_at_once
);

fn del_removes_the_link_at_once(lab: &Lab) {
    let container = Container::new("a");
    comes_and_goes(lab, &container, &lab.ipv4(json!({})), |del| {
        lab.node.run(del).silent();
    });
}

fn a_failed_add_removes_the_link_at_once(lab: &Lab) {
    an_add_that_fails(lab, &lab.ipv4(json!({})));
}
