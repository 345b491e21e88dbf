//! `vlanTrunk`: a container in several VLANs, with tags. The key came after the Go plugin 1.1.1.

use serde_json::{Value, json};

use crate::ports::{port, require_vlans, vlans};
use crate::support::conf::layer2;
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;

ours!(
    the_port_is_in_all_vlans_of_the_trunk,
    with_a_vlan_of_its_own,
    an_empty_trunk_leaves_the_port_in_vlan_1,
    check_finds_what_is_missing
);

const PVID: &str = "PVID Egress Untagged";

#[track_caller]
fn vlans_with(lab: &Lab, keys: Value) -> Vec<String> {
    let container = Container::new("a");
    let result = lab.add(&container, &layer2(keys));
    vlans(lab, port(&result))
}

/// Without `vlan`, untagged frames belong to VLAN 1.
fn the_port_is_in_all_vlans_of_the_trunk(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let trunk = json!([{ "id": 300 }, { "minID": 100, "maxID": 102 }, { "id": 101 }]);
    let all = vlans_with(lab, json!({ "vlanTrunk": trunk }));
    assert_eq!(all, [&format!("1 {PVID}"), "100", "101", "102", "300"]);
}

fn with_a_vlan_of_its_own(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let trunk = json!([{ "minID": 4093, "maxID": 4094, "id": 7 }]);
    let all = vlans_with(lab, json!({ "vlan": 100, "vlanTrunk": trunk }));
    assert_eq!(all, ["7", &format!("100 {PVID}"), "4093", "4094"]);
    let keys = json!({ "vlan": 100, "vlanTrunk": trunk, "preserveDefaultVlan": true });
    let all = vlans_with(lab, keys);
    let expected = [
        "1 Egress Untagged",
        "7",
        &format!("100 {PVID}"),
        "4093",
        "4094",
    ];
    assert_eq!(all, expected);
}

/// The bridge filters, and the port is in VLAN 1 like any other.
fn an_empty_trunk_leaves_the_port_in_vlan_1(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let all = vlans_with(lab, json!({ "vlanTrunk": [] }));
    assert_eq!(all, [format!("1 {PVID}")]);
    let bridge = lab.link("cni0");
    assert_eq!(bridge.0["linkinfo"]["info_data"]["vlan_filtering"], 1);
}

fn check_finds_what_is_missing(lab: &Lab) {
    if !require_vlans(lab) {
        return;
    }
    let conf = layer2(json!({ "vlan": 100, "vlanTrunk": [{ "id": 200 }] }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    lab.check(&container, &conf, &result).silent();
    let mut bridge = std::process::Command::new("bridge");
    bridge.args(["vlan", "del", "vid", "200", "dev", port(&result)]);
    let output = lab.node.enter(|| bridge.output()).unwrap();
    assert!(output.status.success(), "{output:?}");
    let failure = lab.check(&container, &conf, &result).failure();
    assert_eq!(failure.code, 120);
}
