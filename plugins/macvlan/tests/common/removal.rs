//! What is so as soon as a link is removed.

use serde_json::json;
use testkit::removal::{an_add_that_fails, comes_and_goes};

use crate::support::conf::ipv4;
use crate::support::container::Container;
use crate::support::lab::Lab;
use crate::support::side::ours;

ours!(by_a_del, by_an_add_that_fails);

fn by_a_del(lab: &Lab) {
    let container = Container::new("a");
    comes_and_goes(lab, &container, &ipv4(json!({})), |del| {
        lab.node.run(del).silent();
    });
}

fn by_an_add_that_fails(lab: &Lab) {
    an_add_that_fails(lab, &ipv4(json!({})));
}
