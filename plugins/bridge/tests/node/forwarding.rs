//! Forwarding belongs to the whole node. Only a successful ADD switches it on, and nothing switches
//! it off.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::support::conf::{dual_stack, ipv4, ipv6};
use crate::support::lab::{Container, IP_FORWARD, IPV6_FORWARD, Lab};
use crate::support::outside::{self, NODE6, OUTSIDE, default_routes, wait_for_default_routes};
use crate::support::side::{Side, both, ours};
use crate::support::traffic::{assert_reaches, pings};
use testkit::advertisement::advertise_router;

ours!(
    a_failed_add_does_not_switch_forwarding_on,
    an_add_leaves_existing_forwarding_alone,
    the_nodes_default_route_by_advertisements_stays,
);
both!(a_bridge_with_forwarding_off_is_switched_on);

/// A node that forwards on some links still does: switching forwarding off as a whole would switch
/// these off too.
fn a_failed_add_does_not_switch_forwarding_on(lab: &Lab) {
    let _outside = outside::connect(lab);
    let by_link = [
        "/proc/sys/net/ipv4/conf/wire0/forwarding",
        "/proc/sys/net/ipv6/conf/wire0/forwarding",
    ];
    for path in by_link {
        lab.node.write(path, "1");
    }
    let programs = tempfile::tempdir().unwrap();
    for name in ["iptables", "ip6tables"] {
        symlink("/bin/false", programs.path().join(name)).unwrap();
    }
    // Masquerading, which fails here, comes after the gateways' addresses.
    let keys = json!({ "isGateway": true, "ipMasq": true, "ipMasqBackend": "iptables" });
    let container = Container::new("a");
    let call = lab.call("ADD", &container, &dual_stack(keys));
    let failure = lab.node.run(&call.env("PATH", programs.path())).failure();
    assert!(failure.msg.contains("iptables"), "{failure:?}");
    assert_eq!(by_link.map(|path| lab.setting(path)), [1, 1]);
    assert_eq!([lab.setting(IP_FORWARD), lab.setting(IPV6_FORWARD)], [0, 0]);
}

fn an_add_leaves_existing_forwarding_alone(lab: &Lab) {
    for path in [IP_FORWARD, IPV6_FORWARD] {
        lab.node.write(path, "1");
    }
    let _outside = outside::connect(lab);
    let off = "/proc/sys/net/ipv4/conf/wire0/forwarding";
    lab.node.write(off, "0");
    lab.add(
        &Container::new("a"),
        &dual_stack(json!({ "isGateway": true })),
    );
    assert_eq!(lab.setting(off), 0);
    assert_eq!([lab.setting(IP_FORWARD), lab.setting(IPV6_FORWARD)], [1, 1]);
}

/// A node with a default route by router advertisements keeps it, and still accepts advertisements
/// on that link, when it becomes the containers' router. Other links are not changed.
fn the_nodes_default_route_by_advertisements_stays(lab: &Lab) {
    let outside = outside::connect(lab);
    lab.ip("link add other0 type veth peer name other1");
    lab.ip("link set other0 up");
    let accept_ra = |link: &str| {
        let path = format!("/proc/sys/net/ipv6/conf/{link}/accept_ra");
        lab.setting(&path)
    };
    assert_eq!([accept_ra("wire0"), accept_ra("other0")], [1, 1]);
    advertise_router(&outside, "wire1", 1800);
    wait_for_default_routes(lab, &["wire0"]);

    lab.add(&Container::new("a"), &ipv6(json!({ "isGateway": true })));
    assert_eq!(lab.setting(IPV6_FORWARD), 1);
    assert_eq!(default_routes(lab), ["wire0"]);
    assert_eq!([accept_ra("wire0"), accept_ra("other0")], [2, 1]);
    assert!(
        lab.link("wire0")
            .addresses()
            .contains(&format!("{NODE6}/64"))
    );
    // The router withdraws the route, and the node obeys.
    advertise_router(&outside, "wire1", 0);
    wait_for_default_routes(lab, &[]);
    advertise_router(&outside, "wire1", 1800);
    wait_for_default_routes(lab, &["wire0"]);
}

/// IPv4 is forwarded by each link's own setting, which may be off for new links on a node that
/// forwards. The Go plugin only looks at the node's setting.
fn a_bridge_with_forwarding_off_is_switched_on(lab: &Lab) {
    lab.node.write(IP_FORWARD, "1");
    let outside = outside::connect(lab);
    outside.ip("route add 10.1.1.0/24 via 198.51.100.1");
    let by_default = "/proc/sys/net/ipv4/conf/default/forwarding";
    lab.node.write(by_default, "0");
    let of_bridge = "/proc/sys/net/ipv4/conf/cni0/forwarding";
    let (conf, a) = (
        ipv4(json!({ "isDefaultGateway": true })),
        Container::new("a"),
    );
    let result = lab.add(&a, &conf);
    if lab.side == Side::Reference {
        assert!(!pings(&a, &[OUTSIDE]));
        lab.check(&a, &conf, &result).silent();
        return;
    }
    assert_reaches(&a, OUTSIDE);
    lab.check(&a, &conf, &result).silent();
    assert_eq!((lab.setting(by_default), lab.setting(of_bridge)), (0, 1));
    // After an operator switches it off, CHECK fails, and the next ADD switches it on.
    lab.node.write(of_bridge, "0");
    let failure = lab.check(&a, &conf, &result).failure();
    let expected = "net.ipv4.conf.cni0.forwarding is 0: ";
    assert!(failure.msg.starts_with(expected), "{failure:?}");
    let b = Container::new("b");
    lab.add(&b, &conf);
    assert_reaches(&a, OUTSIDE);
    lab.check(&a, &conf, &result).silent();
}
