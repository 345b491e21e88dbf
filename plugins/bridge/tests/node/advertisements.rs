//! A container's router advertisements never make it the node's default router, on any link
//! (CVE-2020-10749).

use serde_json::json;
use testkit::advertisement::advertise_router;

use crate::support::conf::{BRIDGE, ipv4, layer2};
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, wait_for_default_routes};
use crate::support::side::{both, ours};

both!(
    advertisements_are_ignored_on_the_plugins_bridge,
    advertisements_are_ignored_on_an_existing_bridge,
    advertisements_are_ignored_on_a_bridge_with_accept_ra_2,
);
ours!(
    a_bridge_without_gateway_is_left_alone,
    a_failed_add_leaves_the_setting,
);

const ACCEPT_RA: &str = "/proc/sys/net/ipv6/conf/cni0/accept_ra";

/// The node ignores the container's advertisement, and accepts a later one of a router on its
/// uplink.
#[track_caller]
fn assert_not_heeded(lab: &Lab, container: &Container) {
    let outside = outside::connect(lab);
    advertise_router(&container.sandbox, "eth0", 1800);
    advertise_router(&outside, "wire1", 1800);
    wait_for_default_routes(lab, &["wire0"]);
}

fn advertisements_are_ignored_on_the_plugins_bridge(lab: &Lab) {
    let a = Container::new("a");
    lab.add(&a, &ipv4(json!({ "isGateway": true })));
    assert_not_heeded(lab, &a);
}

fn advertisements_are_ignored_on_an_existing_bridge(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    let a = Container::new("a");
    lab.add(&a, &ipv4(json!({ "isGateway": true })));
    assert_not_heeded(lab, &a);
}

/// As after `sysctl -w net.ipv6.conf.all.accept_ra=2`, which an operator sets for the node's
/// uplinks.
fn advertisements_are_ignored_on_a_bridge_with_accept_ra_2(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    let conf = ipv4(json!({ "isGateway": true }));
    lab.add(&a, &conf);
    lab.node.write(ACCEPT_RA, "2");
    lab.add(&b, &conf);
    assert_eq!(lab.setting(ACCEPT_RA), 0);
    assert_not_heeded(lab, &a);
}

/// The node's own address may be on such a bridge.
fn a_bridge_without_gateway_is_left_alone(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    lab.add(&Container::new("a"), &ipv4(json!({})));
    lab.add(&Container::new("b"), &layer2(json!({ "isGateway": true })));
    assert_eq!(lab.setting(ACCEPT_RA), 1);
    assert_eq!(lab.link(BRIDGE).addresses(), [""; 0]);
}

fn a_failed_add_leaves_the_setting(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    let routes = json!([{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }]);
    let conf = ipv4(json!({ "isGateway": true, "ipam": { "routes": routes } }));
    lab.add_fails(&Container::new("a"), &conf);
    assert_eq!(lab.setting(ACCEPT_RA), 1);
}
