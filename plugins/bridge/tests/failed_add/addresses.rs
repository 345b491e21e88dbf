//! A failed ADD and addresses: the bridge's, and those that IPAM allocated.

use serde_json::{Value, json};

use crate::support::conf::{BRIDGE, dual_stack, of_subnets, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};

ours!(
    the_addresses_are_released,
    a_conflict_in_one_family_leaves_no_address_of_the_other,
    an_address_replaced_by_force_is_restored,
    a_replaced_stale_address_is_restored,
);

fn gateway(subnets: &[&str], keys: Value) -> Value {
    with(of_subnets(subnets, json!({ "isGateway": true })), keys)
}

fn unreachable() -> Value {
    json!({ "ipam": { "routes": [{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }] } })
}

/// The network has one address: if it were lost, the next ADD would fail.
fn the_addresses_are_released(lab: &Lab) {
    let ranges = json!([[{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.2" }]]);
    let good = dual_stack(json!({ "isGateway": true, "ipam": { "ranges": ranges } }));
    let container = Container::new("a");
    for _ in 0..3 {
        lab.add_fails(&container, &with(good.clone(), unreachable()));
        assert_eq!(lab.taken(), [""; 0]);
    }
    let result = lab.add(&container, &good);
    assert_eq!(result["ips"][0]["address"], "10.1.1.2/24");
}

/// At this point the bridge has its IPv4 address.
fn a_conflict_in_one_family_leaves_no_address_of_the_other(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &gateway(&["fd00:1::/64"], json!({})));
    let before = Snapshot::take(lab, &[&a, &b]);
    let conf = gateway(&["10.1.1.0/24", "fd00:1::/80"], json!({ "ipMasq": true }));
    let message = lab.add_fails(&b, &conf);
    for said in ["fd00:1::1/64", "fd00:1::1/80", "forceAddress"] {
        assert!(message.contains(said), "{message}");
    }
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "the failed ADD");
}

fn an_address_replaced_by_force_is_restored(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &gateway(&["10.1.1.0/24", "fd00:1::/64"], json!({})));
    let before = Snapshot::take(lab, &[&a, &b]);
    let conf = gateway(&["10.2.2.0/24", "fd00:1::/80"], unreachable());
    lab.add_fails(&b, &with(conf, json!({ "forceAddress": true })));
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "the failed ADD");
}

fn a_replaced_stale_address_is_restored(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    let first = gateway(&["10.1.1.0/24"], json!({}));
    lab.add(&a, &first);
    lab.del(&a, &first);
    let before = Snapshot::take(lab, &[&a, &b]);
    lab.add_fails(&b, &gateway(&["10.2.2.0/24"], unreachable()));
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "the failed ADD");
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.1/24"]);
}
