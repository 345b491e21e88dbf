//! Network configurations for tests, and the networks in them.

use serde_json::{Value, json};

/// The network's name.
pub const NETWORK: &str = "net";

/// The network's subnet of IPv4.
pub const SUBNET: &str = "10.1.1.0/24";
/// The first address of [`SUBNET`].
pub const GATEWAY: &str = "10.1.1.1";
/// The network's subnet of IPv6.
pub const SUBNET6: &str = "fd00:1::/64";
/// The first address of [`SUBNET6`].
pub const GATEWAY6: &str = "fd00:1::1";

/// A configuration of 1.0.0 for a plugin, with these keys and without IPAM.
#[must_use]
pub fn of(plugin: &str, keys: Value) -> Value {
    let conf = json!({ "cniVersion": "1.0.0", "name": NETWORK, "type": plugin });
    with(conf, keys)
}

/// The key `ipam` for host-local, with one range set for each of these subnets.
#[must_use]
pub fn host_local(subnets: &[&str]) -> Value {
    let ranges: Vec<Value> = subnets
        .iter()
        .map(|subnet| json!([{ "subnet": subnet }]))
        .collect();
    json!({ "ipam": { "type": "host-local", "ranges": ranges } })
}

/// The same configuration with this beside or instead of what it has.
#[must_use]
pub fn with(mut conf: Value, keys: Value) -> Value {
    merge(&mut conf, keys);
    conf
}

/// The same configuration without a key.
#[must_use]
pub fn without(mut conf: Value, key: &str) -> Value {
    conf.as_object_mut().unwrap().remove(key);
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
