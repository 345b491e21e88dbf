//! Network configurations.

use serde_json::{Value, json};

pub(crate) const BRIDGE: &str = "cni0";
pub(crate) const NETWORK: &str = "net";

pub(crate) const SUBNET: &str = "10.1.1.0/24";
pub(crate) const GATEWAY: &str = "10.1.1.1";
pub(crate) const SUBNET6: &str = "fd00:1::/64";
pub(crate) const GATEWAY6: &str = "fd00:1::1";

/// A configuration of 1.0.0 without IPAM, with these keys.
pub(crate) fn layer2(keys: Value) -> Value {
    let mut conf = json!({ "cniVersion": "1.0.0", "name": NETWORK, "type": "bridge" });
    merge(&mut conf, keys);
    conf
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
    let ranges: Vec<Value> = subnets
        .iter()
        .map(|subnet| json!([{ "subnet": subnet }]))
        .collect();
    let mut conf = layer2(json!({ "ipam": { "type": "host-local", "ranges": ranges } }));
    merge(&mut conf, keys);
    conf
}

/// The same configuration with this beside or instead of what it has.
pub(crate) fn with(mut conf: Value, keys: Value) -> Value {
    merge(&mut conf, keys);
    conf
}

/// Puts keys into an object, and into the objects in it.
fn merge(into: &mut Value, keys: Value) {
    match (into, keys) {
        (Value::Object(into), Value::Object(keys)) => {
            for (key, value) in keys {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, keys) => *into = keys,
    }
}
