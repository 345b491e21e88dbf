//! A failed ADD and attached containers.

use serde_json::json;

use crate::support::conf::with;
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, NODE, OUTSIDE};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};
use crate::support::traffic::{assert_reaches, listen_in, seen_from};
use crate::undo::everything;

ours!(
    other_containers_keep_their_traffic,
    a_repeated_add_leaves_the_first_attachment_alone
);

fn other_containers_keep_their_traffic(lab: &Lab) {
    let outside = outside::connect(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &everything(json!({})));
    let before = Snapshot::take(lab, &[&a, &b]);
    let routes = json!([{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }]);
    let unreachable = everything(json!({ "ipam": { "routes": routes } }));
    lab.add_fails(&b, &unreachable);
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "the failed ADD");
    assert_reaches(&a, "10.1.1.1");
    let seen = seen_from(listen_in(&outside), OUTSIDE, &a.sandbox);
    assert_eq!(seen, NODE);
}

/// The repeated ADD fails, and link, address and rules of the first one still work.
fn a_repeated_add_leaves_the_first_attachment_alone(lab: &Lab) {
    let outside = outside::connect(lab);
    let a = Container::new("a");
    let conf = everything(json!({}));
    let result = lab.add(&a, &conf);
    let before = Snapshot::take(lab, &[&a]);
    lab.add_fails(&a, &conf);
    assert_same(&before, &Snapshot::take(lab, &[&a]), "a repeated ADD");
    lab.add_fails(&a, &with(conf.clone(), json!({ "bridge": "new0" })));
    assert_same(&before, &Snapshot::take(lab, &[&a]), "a repeated ADD");
    lab.check(&a, &conf, &result).silent();
    let seen = seen_from(listen_in(&outside), OUTSIDE, &a.sandbox);
    assert_eq!(seen, NODE);
    lab.del(&a, &conf);
    assert_eq!(a.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
}
