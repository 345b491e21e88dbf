//! Network configurations.

use serde_json::Value;
use testkit::conf::{host_local, of};

pub(crate) use testkit::conf::{GATEWAY, GATEWAY6, SUBNET, SUBNET6, with};

pub(crate) const BRIDGE: &str = "cni0";

/// A configuration of 1.0.0 without IPAM, with these keys.
pub(crate) fn layer2(keys: Value) -> Value {
    of("bridge", keys)
}

/// A configuration with one subnet of IPv4.
pub(crate) fn ipv4(keys: Value) -> Value {
    of_subnets(&[SUBNET], keys)
}

/// A configuration with one subnet of IPv6.
pub(crate) fn ipv6(keys: Value) -> Value {
    of_subnets(&[SUBNET6], keys)
}

/// A configuration with a subnet of each family.
pub(crate) fn dual_stack(keys: Value) -> Value {
    of_subnets(&[SUBNET, SUBNET6], keys)
}

/// A configuration with one range set for each of these subnets.
pub(crate) fn of_subnets(subnets: &[&str], keys: Value) -> Value {
    with(layer2(host_local(subnets)), keys)
}
