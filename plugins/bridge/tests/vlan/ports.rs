//! The VLANs of a port, and requirements of these tests.

use std::process::Command;

use serde_json::Value;
use testkit::requirements::skip_for_kernel;

use crate::support::lab::Lab;
use crate::support::links::can_filter_vlans;

/// Whether the kernel has the required features; if not, the test is reported as skipped.
#[track_caller]
pub(crate) fn require_vlans(lab: &Lab) -> bool {
    let can = can_filter_vlans(lab);
    if !can {
        skip_for_kernel("CONFIG_BRIDGE_VLAN_FILTERING");
    }
    can
}

/// The VLANs of a port such as `100 PVID Egress Untagged`, in the order of their numbers.
#[track_caller]
pub(crate) fn vlans(lab: &Lab, port: &str) -> Vec<String> {
    let show = || {
        Command::new("bridge")
            .args(["-j", "vlan", "show", "dev", port])
            .output()
            .expect("`bridge` can be run (Debian package iproute2)")
    };
    let output = lab.node.enter(show);
    assert!(output.status.success(), "{output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = all[0]["vlans"].as_array().cloned().unwrap_or_default();
    list.iter().flat_map(vlans_of).collect()
}

fn vlans_of(entry: &Value) -> Vec<String> {
    let first = entry["vlan"].as_u64().unwrap();
    let last = entry["vlanEnd"].as_u64().unwrap_or(first);
    let flags: Vec<&str> = entry["flags"]
        .as_array()
        .map(|flags| flags.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    (first..=last)
        .map(|number| {
            let mut words = vec![number.to_string()];
            words.extend(flags.iter().map(|&flag| flag.to_owned()));
            words.join(" ")
        })
        .collect()
}

/// The node's end of an attachment.
pub(crate) fn port(result: &Value) -> &str {
    result["interfaces"][1]["name"].as_str().unwrap()
}
