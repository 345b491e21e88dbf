//! An address of the bridge that conflicts with the gateway's is replaced if a plugin set it for an
//! earlier lease. An operator's address stays.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use testkit::Invocation;
use testkit::requirements::{REFERENCE_DIR, require_reference};

use crate::support::conf::{BRIDGE, of_subnets, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::snapshot::{Snapshot, assert_same};
use crate::support::traffic::assert_reaches;

ours!(
    an_operators_address_stays,
    an_address_with_all_attributes_stays,
    an_operators_address_in_the_containers_network_stays,
    an_operators_address_beside_an_earlier_leases_stays,
    force_replaces_an_address_in_the_last_step,
    a_stale_address_of_the_same_network_is_replaced,
    a_secondary_address_survives_its_primary,
    routes_survive_a_new_lease,
    an_earlier_leases_address_of_the_go_plugin_is_replaced,
    the_address_waits_for_the_go_plugins_last_container,
    an_unmarked_address_is_recognised_by_either_backend,
    an_unmarked_address_waits_for_the_last_container_in_either_backend,
    the_error_says_that_the_last_containers_end_solves_the_conflict,
);

fn gateway(subnet: &str, keys: Value) -> Value {
    with(of_subnets(&[subnet], json!({ "isGateway": true })), keys)
}

/// The addresses with all attributes of the kernel, without the remaining lifetimes.
#[track_caller]
fn addresses(lab: &Lab) -> Vec<Value> {
    let mut all = lab.link(BRIDGE).addresses_in_full();
    for address in &mut all {
        for key in ["valid_life_time", "preferred_life_time"] {
            let lasts = address[key].as_u64() == Some(u64::from(u32::MAX));
            address[key] = json!(if lasts { "for ever" } else { "for a while" });
        }
    }
    all
}

#[track_caller]
fn assert_refused(lab: &Lab, conf: &Value, words: &[&str]) {
    let container = Container::new("refused");
    let before = (Snapshot::take(lab, &[&container]), addresses(lab));
    let failure = lab.node.run(&lab.call("ADD", &container, conf)).failure();
    assert_eq!(failure.code, 7, "{failure:?}");
    for word in words {
        assert!(failure.msg.contains(word), "{word}: {failure:?}");
    }
    let after = (Snapshot::take(lab, &[&container]), addresses(lab));
    assert_same(&before.0, &after.0, "the refused ADD");
    assert_eq!(before.1, after.1);
}

/// Addresses as docker, libvirt and netplan set them, on bridges without ports. The error is the Go
/// plugin's.
fn an_operators_address_stays(lab: &Lab) {
    let given = [
        "172.17.0.1/16 broadcast 172.17.255.255",
        "192.168.122.1/24",
        "192.0.2.1/32",
    ];
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    for address in given {
        lab.ip(&format!("address add {address} dev cni0"));
        let own = address.split(' ').next().unwrap();
        let wanted = "already has an IP address different from 10.1.1.1/24";
        let words = [wanted, own, BRIDGE, "forceAddress", "ip address del"];
        assert_refused(lab, &gateway("10.1.1.0/24", json!({})), &words);
        lab.ip(&format!("address del {own} dev cni0"));
    }
    lab.ip("address add fd00:1::77/64 dev cni0 nodad");
    let words = ["fd00:1::77/64", "fd00:1::1/64"];
    assert_refused(lab, &gateway("fd00:1::/64", json!({})), &words);
}

fn operators(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    lab.ip(
        "address add 10.7.0.1/24 broadcast 10.7.0.255 dev cni0 label cni0:op metric 50 \
         valid_lft 3600 preferred_lft 1800",
    );
    lab.ip("address add 192.0.2.1 peer 192.0.2.2 dev cni0");
    lab.ip(
        "address add fd00:7::1/64 dev cni0 nodad noprefixroute valid_lft 3600 preferred_lft 1800",
    );
    lab.ip("route add 10.77.0.0/16 via 10.7.0.9 dev cni0");
    lab.ip("-6 route add fd00:7::/64 dev cni0 metric 77");
}

fn an_address_with_all_attributes_stays(lab: &Lab) {
    operators(lab);
    let message = ["10.7.0.1/24"];
    assert_refused(lab, &gateway("10.1.1.0/24", json!({})), &message);
    let message = ["fd00:7::1/64"];
    assert_refused(lab, &gateway("fd00:7::/80", json!({})), &message);
}

/// Containers have addresses of its network, but the address has a label, which no plugin sets.
fn an_operators_address_in_the_containers_network_stays(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    lab.ip("address add 10.1.1.1/24 broadcast 10.1.1.255 dev cni0 label cni0:op");
    let (a, conf) = (Container::new("a"), gateway("10.1.1.0/24", json!({})));
    lab.add(&a, &conf);
    assert_refused(lab, &gateway("10.2.2.0/24", json!({})), &["10.1.1.1/24"]);
    lab.del(&a, &conf);
    assert_refused(lab, &gateway("10.2.2.0/24", json!({})), &["10.1.1.1/24"]);
}

fn an_operators_address_beside_an_earlier_leases_stays(lab: &Lab) {
    let (a, conf) = (Container::new("a"), gateway("10.1.1.0/24", json!({})));
    lab.add(&a, &conf);
    lab.del(&a, &conf);
    lab.ip("address add 192.168.122.1/24 dev cni0");
    let other = gateway("10.2.2.0/24", json!({}));
    assert_refused(lab, &other, &["192.168.122.1/24"]);
    lab.ip("address del 192.168.122.1/24 dev cni0");
    lab.add(&a, &other);
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"]);
}

/// A failed ADD has not touched the address, because not everything that its removal changes could
/// be restored.
fn force_replaces_an_address_in_the_last_step(lab: &Lab) {
    operators(lab);
    let conf = with(
        of_subnets(
            &["10.1.1.0/24", "fd00:7::/80"],
            json!({ "isGateway": true }),
        ),
        json!({ "forceAddress": true }),
    );
    let container = Container::new("a");
    let before = (Snapshot::take(lab, &[&container]), addresses(lab));
    let programs = tempfile::tempdir().unwrap();
    for name in ["iptables", "ip6tables"] {
        symlink("/bin/false", programs.path().join(name)).unwrap();
    }
    // Masquerading is the step before it.
    let keys = json!({ "ipMasq": true, "ipMasqBackend": "iptables" });
    let add = lab.call("ADD", &container, &with(conf.clone(), keys));
    let failure = lab.node.run(&add.env("PATH", programs.path())).failure();
    assert!(failure.msg.contains("iptables"), "{failure:?}");
    let after = (Snapshot::take(lab, &[&container]), addresses(lab));
    assert_same(&before.0, &after.0, "the failed ADD");
    assert_eq!(before.1, after.1);

    lab.add(&container, &conf);
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["10.1.1.1/24", "fd00:7::1/80"]);
    assert_reaches(&container, "10.1.1.1");
    assert_reaches(&container, "fd00:7::1");
}

/// A second address of the same network is a secondary one, which the kernel removes with its
/// primary.
fn a_stale_address_of_the_same_network_is_replaced(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    lab.ip("address add 10.1.1.9/24 dev cni0");
    lab.ip("address add 10.1.1.8/24 dev cni0");
    lab.ip("address add fd00:1::9/64 dev cni0 nodad");
    let keys = json!({ "isGateway": true, "forceAddress": true });
    let a = Container::new("a");
    lab.add(&a, &of_subnets(&["10.1.1.0/24", "fd00:1::/64"], keys));
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["10.1.1.1/24", "fd00:1::1/64"]);
    assert_reaches(&a, "10.1.1.1");
    assert_reaches(&a, "fd00:1::1");
}

/// The bridge already has one of the two gateways' addresses, as the secondary of a conflicting
/// one.
fn a_secondary_address_survives_its_primary(lab: &Lab) {
    lab.ip("link add cni0 type bridge");
    lab.ip("link set cni0 up");
    lab.ip("address add 10.1.1.9/24 dev cni0");
    lab.ip("address add 10.1.1.1/24 dev cni0 label cni0:op");
    let keys = json!({ "isGateway": true, "forceAddress": true });
    let a = Container::new("a");
    lab.add(&a, &of_subnets(&["10.1.1.0/24", "10.2.2.0/24"], keys));
    let bridge = lab.link(BRIDGE);
    assert_eq!(bridge.addresses(), ["10.1.1.1/24", "10.2.2.1/24"]);
    let kept = addresses(lab).into_iter();
    let mut kept = kept.filter(|address| address["local"] == "10.1.1.1");
    assert_eq!(kept.next().unwrap()["label"], "cni0:op");
    assert_reaches(&a, "10.1.1.1");
    assert_reaches(&a, "10.2.2.1");
}

/// Other routes through the bridge survive, because the new address is added before the last one is
/// removed.
fn routes_survive_a_new_lease(lab: &Lab) {
    let (a, conf) = (Container::new("a"), gateway("10.1.1.0/24", json!({})));
    lab.add(&a, &conf);
    lab.del(&a, &conf);
    lab.ip("route add 10.77.0.0/16 dev cni0");
    lab.add(&a, &gateway("10.2.2.0/24", json!({})));
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"]);
    let routes = lab.node.ip_json(&["-4", "route", "show", "dev", BRIDGE]);
    let routes = routes.as_array().unwrap().iter();
    let destinations: Vec<&Value> = routes.map(|route| &route["dst"]).collect();
    assert_eq!(destinations, ["10.2.2.0/24", "10.77.0.0/16"]);
}

/// A call of the Go plugin, on this node; `None` where there is none.
#[track_caller]
fn call_go(lab: &Lab, command: &str, container: &Container, conf: &Value) -> Option<Invocation> {
    let program = require_reference("bridge")?;
    let call = Invocation::attach(&program, command, &container.id);
    let directories = vec![Path::new(REFERENCE_DIR).to_owned()];
    let netns = container.sandbox.path();
    assert!(
        lab.node
            .list(REFERENCE_DIR)
            .contains(&"host-local".to_owned())
    );
    Some(call.netns(netns).paths(directories).config(conf))
}

fn an_earlier_leases_address_of_the_go_plugin_is_replaced(lab: &Lab) {
    let (a, first) = (Container::new("a"), gateway("10.1.1.0/24", json!({})));
    for command in ["ADD", "DEL"] {
        let Some(call) = call_go(lab, command, &a, &first) else {
            return;
        };
        assert_eq!(lab.node.run(&call).code, Some(0));
    }
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.1.1.1/24"]);
    let b = Container::new("b");
    lab.add(&b, &gateway("10.2.2.0/24", json!({})));
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"]);
    assert_reaches(&b, "10.2.2.1");
}

/// While the container exists, each ADD of the new lease fails.
fn the_address_waits_for_the_go_plugins_last_container(lab: &Lab) {
    let (a, first) = (Container::new("a"), gateway("10.1.1.0/24", json!({})));
    let Some(add) = call_go(lab, "ADD", &a, &first) else {
        return;
    };
    lab.node.run(&add).success();
    let (b, second) = (Container::new("b"), gateway("10.2.2.0/24", json!({})));
    for _ in 0..2 {
        let message = lab.add_fails(&b, &second);
        assert!(message.contains("earlier lease"), "{message}");
        assert_reaches(&a, "10.1.1.1");
    }
    lab.node.run(&add.command("DEL")).silent();
    lab.add(&b, &second);
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"]);
    assert_reaches(&b, "10.2.2.1");
}

/// With this backend, and with an address without a mark, as from kernels before 5.18.
fn in_backend(subnet: &str, backend: &str) -> Value {
    let mut conf = gateway(subnet, json!({}));
    conf["ipam"]["backend"] = backend.into();
    conf
}

fn lose_mark(lab: &Lab) {
    lab.ip("address del 10.1.1.1/24 dev cni0");
    lab.ip("address add 10.1.1.1/24 broadcast 10.1.1.255 dev cni0");
}

/// The second lease may use the other backend.
const BACKENDS: [[&str; 2]; 3] = [["disk", "disk"], ["db", "db"], ["db", "disk"]];

fn an_unmarked_address_is_recognised_by_either_backend(lab: &Lab) {
    for [first, second] in BACKENDS {
        let (a, conf) = (Container::new("a"), in_backend("10.1.1.0/24", first));
        lab.add(&a, &conf);
        lab.del(&a, &conf);
        lose_mark(lab);
        let (b, conf) = (Container::new("b"), in_backend("10.2.2.0/24", second));
        lab.add(&b, &conf);
        assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"], "{first}");
        assert_reaches(&b, "10.2.2.1");
        forget(lab, &b, &conf);
    }
}

fn forget(lab: &Lab, last: &Container, conf: &Value) {
    lab.del(last, conf);
    lab.ip("link del cni0");
    lab.node.enter(|| {
        fs::remove_dir_all("/var/lib/cni/networks/net").unwrap_or_default();
        fs::remove_file("/var/lib/cni/networks/.addresses.db").unwrap_or_default();
    });
}

fn an_unmarked_address_waits_for_the_last_container_in_either_backend(lab: &Lab) {
    for backend in ["disk", "db"] {
        let (a, first) = (Container::new("a"), in_backend("10.1.1.0/24", backend));
        lab.add(&a, &first);
        lose_mark(lab);
        // Its last address now belongs to another network.
        let c = Container::new("c");
        let other = with(
            in_backend("10.3.3.0/24", backend),
            json!({ "bridge": "cni1" }),
        );
        lab.add(&c, &other);
        let (b, second) = (Container::new("b"), in_backend("10.2.2.0/24", backend));
        let message = lab.add_fails(&b, &second);
        assert!(message.contains("earlier lease"), "{backend}: {message}");
        assert_reaches(&a, "10.1.1.1");
        lab.del(&a, &first);
        lab.add(&b, &second);
        assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"], "{backend}");
        lab.del(&c, &other);
        forget(lab, &b, &second);
    }
}

/// The conflict ends with the last container of the earlier lease, without an operator.
fn the_error_says_that_the_last_containers_end_solves_the_conflict(lab: &Lab) {
    let (a, first) = (Container::new("a"), gateway("10.1.1.0/24", json!({})));
    lab.add(&a, &first);
    let second = gateway("10.2.2.0/24", json!({}));
    let wanted = "already has an IP address different from 10.2.2.1/24";
    let words = [
        wanted,
        "10.1.1.1/24",
        "last of them is gone",
        "forceAddress",
    ];
    assert_refused(lab, &second, &words);
    lab.del(&a, &first);
    let b = Container::new("b");
    lab.add(&b, &second);
    assert_eq!(lab.link(BRIDGE).addresses(), ["10.2.2.1/24"]);
}
