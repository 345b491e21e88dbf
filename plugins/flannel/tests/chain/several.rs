//! Several attachments of one container.

use serde_json::{Value, json};
use testkit::traffic::assert_reaches;

use crate::attached::{assert_attached, assert_nothing_left};
use crate::lab::{BRIDGE, Container, Lab, NETWORK, SCRATCH, netconf, with_prev_result};
use crate::lease::{ONLY_IPV4, OTHER};

const OTHER_NETWORK: &str = "other";
const OTHER_BRIDGE: &str = "cni1";
const OTHER_SUBNET_FILE: &str = "/run/flannel/other.env";

fn add(lab: &Lab, container: &Container, ifname: &str, netconf: &Value) -> Value {
    let add = lab.call("ADD", container, netconf).ifname(ifname);
    lab.node.run(&add).success()
}

fn del(lab: &Lab, container: &Container, ifname: &str, netconf: &Value) {
    let del = lab.call("DEL", container, netconf).ifname(ifname);
    lab.node.run(&del).silent();
}

fn check(lab: &Lab, container: &Container, ifname: &str, netconf: &Value, result: &Value) {
    let netconf = with_prev_result(netconf, result);
    let check = lab.call("CHECK", container, &netconf).ifname(ifname);
    lab.node.run(&check).silent();
}

/// Two attachments in one network have their own addresses and files, in any order of deletion.
fn in_one_network(goes: &str, stays: &str) {
    let Some(lab) = Lab::new(&ONLY_IPV4) else {
        return;
    };
    // Only one link can have the default route, so there is none.
    let mut netconf = netconf("1.0.0");
    netconf["delegate"] = json!({"hairpinMode": true});
    let container = Container::new("a");
    let eth0 = add(&lab, &container, "eth0", &netconf);
    let eth1 = add(&lab, &container, "eth1", &netconf);
    assert_eq!(eth0["ips"][0]["address"], "10.244.1.2/24");
    assert_eq!(eth1["ips"][0]["address"], "10.244.1.3/24");
    assert_eq!(container.link_names(), ["lo", "eth0", "eth1"]);
    assert_eq!(lab.kept(), ["a", ".attachments/a:eth1"]);

    let (result, address) = if stays == "eth0" {
        (eth0, "10.244.1.2")
    } else {
        (eth1, "10.244.1.3")
    };
    for _ in 0..2 {
        del(&lab, &container, goes, &netconf);
        assert_eq!(container.link_names(), ["lo", stays]);
        assert_eq!(lab.taken(NETWORK), [address]);
        assert_eq!(lab.kept().len(), 1);
        check(&lab, &container, stays, &netconf, &result);
        assert_reaches(&container, "10.244.1.1");
    }
    del(&lab, &container, stays, &netconf);
    assert_nothing_left(&lab, &[&container]);
}

#[test]
fn of_two_attachments_in_one_network_the_first_is_deleted() {
    in_one_network("eth0", "eth1");
}

#[test]
fn of_two_attachments_in_one_network_the_second_is_deleted() {
    in_one_network("eth1", "eth0");
}

fn other() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": OTHER_NETWORK,
        "type": "flannel",
        "subnetFile": OTHER_SUBNET_FILE,
        "delegate": {"bridge": OTHER_BRIDGE},
    })
}

#[test]
fn two_containers_have_two_attachments_each() {
    let Some(lab) = Lab::new(&ONLY_IPV4) else {
        return;
    };
    lab.node.write(OTHER_SUBNET_FILE, OTHER.subnet_env());
    let (netconf, other) = (netconf("1.0.0"), other());
    let (a, b) = (Container::new("a"), Container::new("b"));
    for container in [&a, &b] {
        add(&lab, container, "eth0", &netconf);
        add(&lab, container, "eth1", &other);
    }
    assert_eq!(
        lab.kept(),
        ["a", "b", ".attachments/a:eth1", ".attachments/b:eth1"]
    );
    assert_reaches(&a, "10.244.1.3");
    assert_reaches(&a, "10.99.7.3");

    del(&lab, &a, "eth0", &netconf);
    del(&lab, &b, "eth1", &other);
    assert_eq!(lab.kept(), ["b", ".attachments/a:eth1"]);
    assert_eq!(lab.taken(NETWORK), ["10.244.1.3"]);
    assert_eq!(lab.taken(OTHER_NETWORK), ["10.99.7.2"]);
    assert_eq!(
        (a.link_names(), b.link_names()),
        (
            vec!["lo".into(), "eth1".into()],
            vec!["lo".into(), "eth0".into()]
        )
    );
    assert_reaches(&a, "10.99.7.1");
    assert_reaches(&b, "10.244.1.1");

    del(&lab, &b, "eth0", &netconf);
    del(&lab, &a, "eth1", &other);
    assert_eq!(
        (a.link_names(), b.link_names()),
        (vec!["lo".into()], vec!["lo".into()])
    );
    assert_eq!(lab.kept(), [""; 0]);
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.taken(OTHER_NETWORK), [""; 0]);
}

#[test]
fn attachments_in_two_networks_do_not_mix() {
    let Some(lab) = Lab::new(&ONLY_IPV4) else {
        return;
    };
    lab.node.write(OTHER_SUBNET_FILE, OTHER.subnet_env());
    let netconf = netconf("1.0.0");
    let other = other();
    let container = Container::new("a");
    let eth0 = add(&lab, &container, "eth0", &netconf);
    assert_attached(&lab, &container, ONLY_IPV4, 2, &eth0);
    let eth1 = add(&lab, &container, "eth1", &other);
    assert_eq!(eth1["ips"][0]["address"], "10.99.7.2/24");
    assert_reaches(&container, "10.99.7.1");
    check(&lab, &container, "eth1", &other, &eth1);
    let first = lab.node.read(format!("{SCRATCH}/a"));

    del(&lab, &container, "eth1", &other);
    assert_attached(&lab, &container, ONLY_IPV4, 2, &eth0);
    assert_eq!(lab.taken(OTHER_NETWORK), [""; 0]);
    check(&lab, &container, "eth0", &netconf, &eth0);
    assert_reaches(&container, "10.244.1.1");

    let eth1 = add(&lab, &container, "eth1", &other);
    assert_eq!(eth1["ips"][0]["address"], "10.99.7.3/24");
    assert_eq!(lab.node.read(format!("{SCRATCH}/a")), first);
    del(&lab, &container, "eth0", &netconf);
    assert_eq!(lab.taken(NETWORK), [""; 0]);
    assert_eq!(lab.taken(OTHER_NETWORK), ["10.99.7.3"]);
    check(&lab, &container, "eth1", &other, &eth1);
    assert_reaches(&container, "10.99.7.1");
    del(&lab, &container, "eth1", &other);
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(OTHER_NETWORK), [""; 0]);
    assert_eq!(lab.kept(), [""; 0]);
    assert_eq!(lab.links(), ["lo", BRIDGE, OTHER_BRIDGE]);
}
