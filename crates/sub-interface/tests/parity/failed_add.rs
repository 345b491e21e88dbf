//! A failed ADD leaves nothing, and the next ADD succeeds.

use serde_json::{Value, json};
use testkit::ScriptedDelegate;
use testkit::conf::with;
use testkit::expectations::{NO_ADDRESSES, NO_RESULTS};
use testkit::wire::{Container, Lab};
use testkit::{Snapshot, assert_same};

use crate::side::ours;

ours!(
    add_is_rolled_back_if_ipam_gives_no_address,
    add_is_rolled_back_if_ipam_gives_no_result,
    add_is_rolled_back_if_ipam_fails,
    add_is_rolled_back_if_ipam_is_killed,
    add_is_rolled_back_if_the_del_of_ipam_fails,
    add_is_rolled_back_if_the_kernel_refuses_an_address,
    add_is_rolled_back_if_a_next_hop_is_unreachable,
    add_is_rolled_back_if_only_a_later_route_leads_to_a_next_hop,
    ipv6_stays_off_after_a_failed_add,
    an_existing_interface_is_refused_and_stays,
    a_repeated_add_leaves_the_first_attachment_alone,
    other_containers_keep_their_traffic,
);

/// ADD fails with this code and a message with these parts, and changes nothing. Afterwards the
/// container can be attached.
#[track_caller]
fn fails(lab: &Lab, container: &Container, conf: &Value, code: u64, says: &[&str]) {
    let before = Snapshot::take(lab, &[container]);
    let outcome = lab.node.run(&lab.call("ADD", container, conf));
    outcome.refusal(code, says);
    let what = format!("the failed ADD\n{outcome}\n");
    assert_same(&before, &Snapshot::take(lab, &[container]), &what);

    let good = lab.ipv4(json!({}));
    lab.add(container, &good);
    container.assert_reaches("10.1.1.1");
    lab.del(container, &good);
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
}

fn commands(ipam: &ScriptedDelegate) -> Vec<String> {
    let calls = ipam.calls().into_iter();
    calls.map(|call| call.command).collect()
}

fn add_is_rolled_back_if_ipam_gives_no_address(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    for answer in NO_ADDRESSES {
        ipam.on("ADD").stdout(answer);
        let before = ipam.calls().len();
        let says = ["ipam", "scripted", "no address"];
        fails(lab, &container, &lab.scripted(json!({})), 101, &says);
        let calls = &ipam.calls()[before..];
        let commands: Vec<&str> = calls.iter().map(|call| &*call.command).collect();
        assert_eq!(commands, ["ADD", "DEL"]);
        assert_eq!(calls[0].stdin, calls[1].stdin);
    }
}

fn add_is_rolled_back_if_ipam_gives_no_result(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    for answer in NO_RESULTS {
        ipam.on("ADD").stdout(answer);
        fails(lab, &container, &lab.scripted(json!({})), 6, &["scripted"]);
    }
    assert_eq!(commands(&ipam)[..4], ["ADD", "DEL", "ADD", "DEL"]);
}

/// IPAM reports an error, so it has allocated nothing. A DEL could release the addresses of an
/// earlier ADD.
fn add_is_rolled_back_if_ipam_fails(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    let error = r#"{"cniVersion":"1.0.0","code":11,"msg":"come back at noon"}"#;
    ipam.on("ADD").stdout(error).exit(1);
    let says = ["scripted", "come back at noon"];
    fails(lab, &container, &lab.scripted(json!({})), 11, &says);
    assert_eq!(commands(&ipam), ["ADD"]);
}

fn add_is_rolled_back_if_ipam_is_killed(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    ipam.on("ADD").kill(9);
    let says = ["scripted", "SIGKILL"];
    fails(lab, &container, &lab.scripted(json!({})), 101, &says);
    assert_eq!(commands(&ipam), ["ADD", "DEL"]);
}

/// The link is removed, and the first error is reported.
fn add_is_rolled_back_if_the_del_of_ipam_fails(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    let answer = json!({
        "cniVersion": "1.0.0",
        "ips": [{ "address": "10.1.1.2/24" }],
        "routes": [{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }],
    });
    ipam.on("ADD").stdout(answer.to_string());
    let never = r#"{"code":999,"msg":"never"}"#;
    ipam.on("DEL").stdout(never).exit(1);
    let says = ["10.9.0.0/16", "172.16.0.1"];
    fails(lab, &container, &lab.scripted(json!({})), 7, &says);
}

fn add_is_rolled_back_if_the_kernel_refuses_an_address(lab: &Lab) {
    let (ipam, container) = (lab.install("scripted"), Container::new("a"));
    // The kernel accepts the first address before it refuses the second.
    for bad in ["ff02::7/64", "fd00:1::7/64"] {
        let answer = json!({
            "cniVersion": "1.0.0",
            "ips": [{ "address": "10.1.1.2/24" }, { "address": bad }],
        });
        ipam.on("ADD").stdout(answer.to_string());
        let conf = match bad {
            // IPv6 needs at least 1280.
            "fd00:1::7/64" => lab.scripted(json!({ "mtu": 1279 })),
            _ => lab.scripted(json!({})),
        };
        fails(lab, &container, &conf, 7, &[bad]);
    }
}

fn add_is_rolled_back_if_a_next_hop_is_unreachable(lab: &Lab) {
    let container = Container::new("a");
    for (dst, gateway) in [("10.9.0.0/16", "172.16.0.1"), ("fd00:9::/48", "fd00:77::1")] {
        let routes = json!([{ "dst": "10.8.0.0/16" }, { "dst": dst, "gw": gateway }]);
        let conf = lab.dual_stack(json!({ "ipam": { "routes": routes } }));
        let says = ["ipam", dst, gateway, "none of the networks", "eth0"];
        fails(lab, &container, &conf, 7, &says);
    }
}

/// Routes are added in IPAM's order.
fn add_is_rolled_back_if_only_a_later_route_leads_to_a_next_hop(lab: &Lab) {
    let ipam = lab.install("scripted");
    let result = |routes: [Value; 2]| {
        let ips = json!([{ "address": "10.1.1.7/24" }]);
        json!({ "cniVersion": "1.0.0", "ips": ips, "routes": routes }).to_string()
    };
    let to_hop = json!({ "dst": "192.0.2.1/32", "scope": 253 });
    let via_hop = json!({ "dst": "10.9.0.0/16", "gw": "192.0.2.1" });
    let (conf, container) = (lab.scripted(json!({})), Container::new("a"));
    ipam.on("ADD")
        .stdout(result([via_hop.clone(), to_hop.clone()]));
    let says = [
        "10.9.0.0/16",
        "192.0.2.1",
        "none of the networks",
        "before this route",
    ];
    let call = lab.call("ADD", &container, &conf);
    lab.node.run(&call).refusal(7, &says);
    ipam.on("ADD").stdout(result([to_hop, via_hop]));
    lab.add(&container, &conf);
    let routes = ["10.9.0.0/16 via 192.0.2.1", "192.0.2.1"];
    assert_eq!(container.routes(), routes);
}

fn ipv6_stays_off_after_a_failed_add(lab: &Lab) {
    let container = Container::new("a");
    container.set("ipv6/conf/all/disable_ipv6", "1");
    let routes = json!([{ "dst": "fd00:9::/48", "gw": "fd00:77::1" }]);
    let conf = lab.dual_stack(json!({ "ipam": { "routes": routes } }));
    fails(lab, &container, &conf, 7, &["fd00:9::/48"]);
    assert_eq!(container.setting("ipv6/conf/lo/disable_ipv6"), 1);
}

fn an_existing_interface_is_refused_and_stays(lab: &Lab) {
    let container = Container::new("a");
    container.ip("link add eth4 type bridge");
    let before = Snapshot::take(lab, &[&container]);
    for name in ["lo", "eth4"] {
        let call = lab.call("ADD", &container, &lab.ipv4(json!({})));
        let outcome = lab.node.run(&call.ifname(name));
        let failure = outcome.failure();
        assert_eq!(failure.code, 4, "{outcome}");
        let text = format!("CNI_IFNAME {name}");
        assert!(failure.msg.contains(&text), "{outcome}");
        assert_same(&before, &Snapshot::take(lab, &[&container]), "ADD");
    }
}

/// The repeated ADD fails, and the first attachment still works.
fn a_repeated_add_leaves_the_first_attachment_alone(lab: &Lab) {
    let container = Container::new("a");
    let conf = lab.dual_stack(json!({}));
    let result = lab.add(&container, &conf);
    let before = Snapshot::take(lab, &[&container]);
    let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
    assert_eq!(outcome.failure().code, 4, "{outcome}");
    assert_same(&before, &Snapshot::take(lab, &[&container]), "ADD");
    // In another namespace, IPAM recognises the attachment.
    let moved = Container::new("a");
    let outcome = lab.node.run(&lab.call("ADD", &moved, &conf));
    assert_eq!(outcome.failure().code, 112, "{outcome}");
    assert_same(&before, &Snapshot::take(lab, &[&container]), "ADD");
    assert_eq!(moved.link_names(), ["lo"]);
    lab.check(&container, &conf, &result).silent();
}

fn other_containers_keep_their_traffic(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &lab.dual_stack(json!({})));
    let before = Snapshot::take(lab, &[&a, &b]);
    let routes = json!([{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }]);
    let conf = with(
        lab.dual_stack(json!({})),
        json!({ "ipam": { "routes": routes } }),
    );
    lab.node.run(&lab.call("ADD", &b, &conf)).failure();
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "the failed ADD");
    a.assert_reaches("10.1.1.1");
}
