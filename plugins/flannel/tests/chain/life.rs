//! Two containers are added, reach each other, are checked and deleted, for each kind of lease and
//! each version that bridge supports.

use serde_json::{Value, json};
use testkit::traffic::assert_reaches;

use crate::attached::{assert_addresses, assert_attached, assert_nothing_left};
use crate::lab::{Container, Delegates, Lab, NETWORK, SCRATCH, netconf, with_prev_result};
use crate::lease::{DUAL_STACK, Lease, ONLY_IPV4, ONLY_IPV6};

fn come_and_go(lease: Lease, version: &str) {
    for delegates in Delegates::BOTH {
        // Debian's delegates support an earlier version of the specification.
        if delegates == Delegates::Ours || version != "1.1.0" {
            come_and_go_with(delegates, lease, version);
        }
    }
}

fn come_and_go_with(delegates: Delegates, lease: Lease, version: &str) {
    let Some(lab) = Lab::with(delegates, &lease) else {
        return;
    };
    let netconf = netconf(version);
    let (a, b) = (Container::new("a"), Container::new("b"));
    let result_a = lab.add(&a, &netconf);
    assert_eq!(result_a["cniVersion"], version);
    assert_attached(&lab, &a, lease, 2, &result_a);
    assert_addresses(&lab, lease, &[&a]);
    let result_b = lab.add(&b, &netconf);
    assert_eq!(result_b["cniVersion"], version);
    assert_attached(&lab, &b, lease, 3, &result_b);
    assert_attached(&lab, &a, lease, 2, &result_a);
    assert_addresses(&lab, lease, &[&a, &b]);
    assert_eq!(lab.kept(), ["a", "b"]);

    for family in lease.0 {
        assert_reaches(&a, &family.host(3));
        assert_reaches(&b, &family.host(2));
        assert_reaches(&a, family.gateway);
    }

    if version != "0.3.1" {
        check(&lab, &a, &netconf, &result_a);
        check(&lab, &b, &netconf, &result_b);
    }

    lab.del(&a, &netconf);
    assert_eq!(a.link_names(), ["lo"]);
    assert_eq!(lab.kept(), ["b"]);
    assert_eq!(lab.taken(NETWORK), lease.host(3));
    for family in lease.0 {
        assert_reaches(&b, family.gateway);
    }
    lab.del(&b, &with_prev_result(&netconf, &result_b));
    assert_nothing_left(&lab, &[&a, &b]);
    lab.del(&a, &netconf);
    lab.del(&b, &with_prev_result(&netconf, &result_b));
    assert_nothing_left(&lab, &[&a, &b]);
}

#[test]
fn a_repeated_add_leaves_the_first_attachment_alone() {
    let lease = DUAL_STACK;
    for delegates in Delegates::BOTH {
        repeated_add_with(delegates, lease);
    }
}

fn repeated_add_with(delegates: Delegates, lease: Lease) {
    let Some(lab) = Lab::with(delegates, &lease) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    let result = lab.add(&container, &netconf);
    let again = lab.call("ADD", &container, &netconf);
    let failure = lab.node.run(&again).failure();
    let expected = match delegates {
        Delegates::Ours => {
            let netns = container.sandbox.path();
            let taken = format!(
                "container {} has an interface of this name already",
                netns.display()
            );
            (4, format!("bridge: CNI_IFNAME eth0: {taken}"))
        }
        Delegates::Debians => {
            let taken = "container veth name provided (eth0) already exists";
            (999, format!("bridge: {taken}"))
        }
    };
    assert_eq!((failure.code, failure.msg), expected);
    assert_attached(&lab, &container, lease, 2, &result);
    assert_addresses(&lab, lease, &[&container]);
    check(&lab, &container, &netconf, &result);
    lab.del(&container, &netconf);
    assert_nothing_left(&lab, &[&container]);
}

/// CHECK succeeds, and fails once an address file is missing, if the delegates compare addresses.
#[track_caller]
fn check(lab: &Lab, container: &Container, netconf: &Value, result: &Value) {
    let call = lab.call("CHECK", container, &with_prev_result(netconf, result));
    lab.node.run(&call).silent();
    if lab.delegates == Delegates::Debians {
        return;
    }

    let address = result["ips"][0]["address"].as_str().unwrap();
    let (address, _) = address.split_once('/').unwrap();
    let directory = format!("/var/lib/cni/networks/{NETWORK}");
    let file = format!("{directory}/{address}");
    let contents = lab.node.read(&file);
    lab.node.enter(|| std::fs::remove_file(&file)).unwrap();
    let failure = lab.node.run(&call).failure();
    assert_eq!(failure.code, 120, "{failure:?}");
    let attachment = format!("bridge: host-local: eth0 of container {} ", container.id);
    let message = failure.msg.starts_with(&attachment) && failure.msg.ends_with(&directory);
    assert!(message, "{failure:?}");
    lab.node.write(&file, contents);
    lab.node.run(&call).silent();
}

macro_rules! lives {
    ($($test:ident: $lease:expr, $version:literal;)*) => {$(
        #[test]
        fn $test() {
            come_and_go($lease, $version);
        }
    )*};
}

lives! {
    ipv4_0_3_1: ONLY_IPV4, "0.3.1";
    ipv4_0_4_0: ONLY_IPV4, "0.4.0";
    ipv4_1_0_0: ONLY_IPV4, "1.0.0";
    dual_stack_0_3_1: DUAL_STACK, "0.3.1";
    dual_stack_0_4_0: DUAL_STACK, "0.4.0";
    dual_stack_1_0_0: DUAL_STACK, "1.0.0";
    dual_stack_1_1_0: DUAL_STACK, "1.1.0";
    ipv6_1_0_0: ONLY_IPV6, "1.0.0";
}

#[test]
fn container_ids_of_any_length_work() {
    for delegates in Delegates::BOTH {
        for length in [252, 300] {
            let Some(lab) = Lab::with(delegates, &ONLY_IPV4) else {
                return;
            };
            let netconf = netconf("1.0.0");
            let container = Container::new(&"c".repeat(length));
            let call = |command, ifname| lab.call(command, &container, &netconf).ifname(ifname);
            lab.node.run(&call("DEL", "eth0")).silent();
            for ifname in ["eth0", "net1"] {
                lab.node.run(&call("ADD", ifname)).success();
            }
            assert_eq!(lab.taken(NETWORK).len(), 2);
            for ifname in ["eth0", "net1"] {
                lab.node.run(&call("DEL", ifname)).silent();
            }
            assert_nothing_left(&lab, &[&container]);
        }
    }
}

/// The version of the list changes while a container runs. Debian's plugins refuse a `prevResult`
/// of another version than the configuration's, and a CHECK with a version that does not define it.
#[test]
fn a_container_survives_a_change_of_the_lists_version() {
    for (before, after) in [
        ("0.3.1", "1.0.0"),
        ("0.3.1", "0.4.0"),
        ("0.4.0", "1.0.0"),
        ("1.0.0", "0.4.0"),
    ] {
        for delegates in Delegates::BOTH {
            let Some(lab) = Lab::with(delegates, &DUAL_STACK) else {
                return;
            };
            let container = Container::new("a");
            let result = lab.add(&container, &netconf(before));
            let mut conf = netconf(after);
            conf["prevResult"] = in_version(&result, after);
            let check = lab.call("CHECK", &container, &conf);
            lab.node.run(&check).silent();
            lab.node.run(&lab.call("DEL", &container, &conf)).silent();
            assert_nothing_left(&lab, &[&container]);
        }
    }
}

/// These plugins also read `prevResult` on DEL. Without a namespace they need nothing of the
/// kernel.
#[test]
fn del_works_after_a_change_of_version_with_plugins_that_read_prev_result() {
    for plugin_type in ["ipvlan", "portmap", "bandwidth"] {
        for (before, after) in [("0.3.1", "1.0.0"), ("0.4.0", "1.0.0"), ("1.0.0", "0.4.0")] {
            let Some(lab) = Lab::with(Delegates::Debians, &ONLY_IPV4) else {
                return;
            };
            let kept = json!({
                "cniVersion": before,
                "name": NETWORK,
                "type": plugin_type,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}]]},
                "twill/ifname": "eth0",
            });
            lab.node.write(format!("{SCRATCH}/a"), kept.to_string());
            let container = Container::new("a");
            let mut conf = netconf(after);
            let result = json!({
                "interfaces": [{"name": "eth0", "sandbox": "/run/netns/a"}],
                "ips": [{"interface": 0, "address": "10.244.1.2/24", "gateway": "10.244.1.1"}],
            });
            conf["prevResult"] = in_version(&result, after);
            let del = lab.call("DEL", &container, &conf).netns("");
            lab.node.run(&del).silent();
            assert_eq!(lab.kept(), [""; 0], "{plugin_type}");
        }
    }
}

/// A result in another version, as libcni converts it for `prevResult`.
fn in_version(result: &Value, version: &str) -> Value {
    let mut result = result.clone();
    result["cniVersion"] = version.into();
    for ip in result["ips"].as_array_mut().unwrap() {
        let family = if ip["address"].as_str().unwrap().contains(':') {
            "6"
        } else {
            "4"
        };
        let ip = ip.as_object_mut().unwrap();
        if version < "1.0.0" {
            ip.insert("version".to_owned(), family.into());
        } else {
            ip.remove("version");
        }
    }
    result
}

/// Before 0.3.0, results have no interfaces, and CHECK does not exist. A runtime passes the result
/// of such an ADD in the list's present version.
#[test]
fn check_works_after_an_add_with_a_version_without_interfaces() {
    for delegates in Delegates::BOTH {
        for kept in ["0.1.0", "0.2.0"] {
            for present in ["0.4.0", "1.0.0", "1.1.0"] {
                // Debian's delegates support at most 1.0.0.
                if delegates == Delegates::Debians && present == "1.1.0" {
                    continue;
                }
                let Some(lab) = Lab::with(delegates, &DUAL_STACK) else {
                    return;
                };
                let container = Container::new("a");
                let of_add = lab.add(&container, &netconf(kept));
                let mut result = json!({
                    "cniVersion": present,
                    "ips": [
                        {"address": of_add["ip4"]["ip"], "gateway": of_add["ip4"]["gateway"]},
                        {"address": of_add["ip6"]["ip"], "gateway": of_add["ip6"]["gateway"]},
                    ],
                    "routes": of_add["ip4"]["routes"],
                    "dns": {},
                });
                if present == "0.4.0" {
                    result["ips"][0]["version"] = "4".into();
                    result["ips"][1]["version"] = "6".into();
                }
                let check = lab.call(
                    "CHECK",
                    &container,
                    &with_prev_result(&netconf(present), &result),
                );
                lab.node.run(&check).silent();
                let address = of_add["ip4"]["ip"].as_str().unwrap();
                container
                    .sandbox
                    .ip(&format!("address delete {address} dev eth0"));
                let outcome = lab.node.run(&check);
                match delegates {
                    Delegates::Ours => {
                        let failure = outcome.failure();
                        let expected = format!(
                            "bridge: interface eth0 does not have address {address} of prevResult"
                        );
                        assert_eq!((failure.code, failure.msg), (120, expected));
                    }
                    // Debian's bridge compares nothing without the node's links in prevResult.
                    Delegates::Debians => outcome.silent(),
                }
            }
        }
    }
}
