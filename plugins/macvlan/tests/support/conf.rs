//! Network configurations.

use serde_json::{Value, json};
use testkit::conf::{host_local, of};

pub(crate) use testkit::conf::{GATEWAY, GATEWAY6, SUBNET, SUBNET6, with, without};

/// A configuration of 1.0.0 without IPAM, on the node's wire, with these keys.
pub(crate) fn layer2(keys: Value) -> Value {
    with(of(crate::PLUGIN, json!({ "master": "wire0" })), keys)
}

/// A configuration with one subnet of IPv4.
pub(crate) fn ipv4(keys: Value) -> Value {
    with(layer2(host_local(&[SUBNET])), keys)
}

/// A configuration with a subnet of each family.
pub(crate) fn dual_stack(keys: Value) -> Value {
    with(layer2(host_local(&[SUBNET, SUBNET6])), keys)
}

/// A configuration with a scripted IPAM plugin.
pub(crate) fn scripted(keys: Value) -> Value {
    with(layer2(json!({ "ipam": { "type": "scripted" } })), keys)
}
