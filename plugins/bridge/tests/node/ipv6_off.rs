//! A node on which IPv6 is off for new links, as hardening guides have it
//! (`net.ipv6.conf.default.disable_ipv6=1`).

use serde_json::json;

use crate::support::conf::{BRIDGE, GATEWAY, GATEWAY6, dual_stack, ipv4, ipv6, layer2};
use crate::support::lab::{Container, Lab};
use crate::support::links::can_filter_vlans;
use crate::support::side::{Side, both, ours};
use crate::support::traffic::assert_reaches;
use testkit::requirements::skip_for_kernel;

both!(ipv6_is_switched_on_for_a_bridge_of_this_add);
ours!(
    ipv6_is_switched_on_for_a_bridge_of_an_earlier_add,
    ipv6_is_switched_on_for_the_plugins_vlan_link,
    an_operators_bridge_is_refused,
    ipv6_stays_off_without_an_ipv6_gateway,
    a_failed_add_leaves_ipv6_off,
);

fn switch_off(lab: &Lab) {
    lab.node
        .write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

fn is_off(lab: &Lab, link: &str) -> bool {
    lab.setting(&format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6")) == 1
}

/// The Go plugin fails with the kernel's error "permission denied".
fn ipv6_is_switched_on_for_a_bridge_of_this_add(lab: &Lab) {
    switch_off(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    let conf = dual_stack(json!({ "isDefaultGateway": true }));
    let outcome = lab.node.run(&lab.call("ADD", &a, &conf));
    if lab.side == Side::Reference {
        let failure = outcome.failure();
        assert!(failure.msg.contains("permission denied"), "{failure:?}");
        return;
    }
    let result = outcome.success();
    lab.add(&b, &conf);
    for to in [GATEWAY, GATEWAY6, "fd00:1::3"] {
        assert_reaches(&a, to);
    }
    lab.check(&a, &conf, &result).silent();
    // Only the bridge is changed.
    assert!(!is_off(lab, BRIDGE));
    assert!(is_off(lab, "default"));
    assert!(is_off(
        lab,
        result["interfaces"][1]["name"].as_str().unwrap()
    ));
}

/// The earlier ADD did not need IPv6.
fn ipv6_is_switched_on_for_a_bridge_of_an_earlier_add(lab: &Lab) {
    switch_off(lab);
    for (number, earlier) in [layer2(json!({})), ipv4(json!({ "isGateway": true }))]
        .into_iter()
        .enumerate()
    {
        let a = Container::new("a");
        lab.add(&a, &earlier);
        assert!(is_off(lab, BRIDGE));
        let b = Container::new("b");
        let conf = ipv6(json!({ "isGateway": true }));
        lab.add(&b, &conf);
        assert_reaches(&b, GATEWAY6);
        lab.del(&a, &earlier);
        lab.del(&b, &conf);
        assert_eq!(lab.taken(), [""; 0], "{number}");
        lab.ip(&format!("link del {BRIDGE}"));
    }
}

fn ipv6_is_switched_on_for_the_plugins_vlan_link(lab: &Lab) {
    if !can_filter_vlans(lab) {
        skip_for_kernel("CONFIG_BRIDGE_VLAN_FILTERING");
        return;
    }
    switch_off(lab);
    let (a, b) = (Container::new("a"), Container::new("b"));
    let conf = |keys| testkit::conf::with(keys, json!({ "isGateway": true, "vlan": 5 }));
    lab.add(&a, &conf(ipv4(json!({}))));
    assert!(is_off(lab, "cni0.5"));
    lab.add(&b, &conf(ipv6(json!({}))));
    assert!(!is_off(lab, "cni0.5"));
    assert!(is_off(lab, BRIDGE), "it has no gateway's address");
    assert_reaches(&b, GATEWAY6);
}

/// The operator has switched IPv6 off there.
fn an_operators_bridge_is_refused(lab: &Lab) {
    switch_off(lab);
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    let (container, conf) = (
        Container::new("a"),
        dual_stack(json!({ "isGateway": true })),
    );
    let failure = lab.node.run(&lab.call("ADD", &container, &conf)).failure();
    let expected = "ipam: cni0 cannot have the gateway's address fd00:1::1/64: IPv6 is switched off on it; set \
                    net.ipv6.conf.cni0.disable_ipv6 to 0, or have IPAM give no IPv6 address";
    assert_eq!((failure.code, failure.msg.as_str()), (2, expected));
    assert!(is_off(lab, BRIDGE));
    assert_eq!(lab.link(BRIDGE).addresses(), [""; 0]);
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
    lab.node
        .write("/proc/sys/net/ipv6/conf/cni0/disable_ipv6", "0");
    lab.add(&container, &conf);
    assert_reaches(&container, GATEWAY6);
}

fn ipv6_stays_off_without_an_ipv6_gateway(lab: &Lab) {
    switch_off(lab);
    lab.add(&Container::new("a"), &ipv4(json!({ "isGateway": true })));
    lab.add(&Container::new("b"), &dual_stack(json!({})));
    assert!(is_off(lab, BRIDGE));
}

fn a_failed_add_leaves_ipv6_off(lab: &Lab) {
    switch_off(lab);
    let a = Container::new("a");
    let conf = ipv4(json!({ "isGateway": true }));
    lab.add(&a, &conf);
    lab.del(&a, &conf);
    let keys = json!({ "isGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" });
    let nothing = tempfile::tempdir().unwrap();
    let call = lab.call("ADD", &a, &dual_stack(keys));
    lab.node.run(&call.env("PATH", nothing.path())).failure();
    assert!(is_off(lab, BRIDGE));
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.1/24"]);
}
