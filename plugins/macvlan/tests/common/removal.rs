//! What is so as soon as a link is removed.

use serde_json::json;
use testkit::removal::{assert_no_process, comes_and_goes};

use crate::support::conf::{ipv4, with};
use crate::support::container::Container;
use crate::support::lab::Lab;
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};

ours!(by_a_del, by_an_add_that_fails);

fn by_a_del(lab: &Lab) {
    let container = Container::new("a");
    comes_and_goes(lab, &container, &ipv4(json!({})), |del| {
        lab.node.run(del).silent();
    });
}

/// The address that it asks for is taken, which comes out when its link has been made.
fn by_an_add_that_fails(lab: &Lab) {
    let asking = |address: &str| {
        let args = json!({ "cni": { "ips": [address] } });
        with(ipv4(json!({})), json!({ "args": args }))
    };
    let (owner, container) = (Container::new("a"), Container::new("b"));
    lab.add(&owner, &asking("10.1.1.77"));
    let before = Snapshot::take(lab, &[&owner, &container]);
    for _ in 0..5 {
        let error = lab.add_fails(&container, &asking("10.1.1.77"));
        assert!(error.contains("10.1.1.77"), "{error}");
        let after = Snapshot::take(lab, &[&owner, &container]);
        assert_same(&before, &after, "an ADD that fails");
        lab.add_fails(&container, &asking("10.1.1.77"));
        lab.add(&container, &asking("10.1.1.78"));
        lab.del(&container, &asking("10.1.1.78"));
        let after = Snapshot::take(lab, &[&owner, &container]);
        assert_same(&before, &after, "one that succeeds, and DEL");
    }
    assert_no_process(lab);
}
