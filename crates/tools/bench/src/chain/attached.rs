//! What an ADD has made, to be the same whoever made it.

use serde_json::Value;
use testkit::Node;

use super::network::BRIDGE;
use super::seen::Seen;
use super::slot::Slot;

/// The link, address and routes of the only container that is attached, and the bridge's port.
pub(super) fn look(node: &Node, slot: &Slot) -> Seen {
    told(
        &slot.sandbox.ip_json(&["address", "show", "dev", "eth0"]),
        &slot.sandbox.ip_json(&["route"]),
        &node.ip_json(&["-d", "link", "show", "master", BRIDGE]),
    )
}

/// What `ip -j` tells of `eth0`, the container's routes and the ports.
fn told(eth0: &Value, routes: &Value, ports: &Value) -> Seen {
    let mut seen = lines("eth0", eth0, &["/mtu", "/operstate"]);
    let addresses = eth0.pointer("/0/addr_info").unwrap_or(&Value::Null);
    let inet = |address: &&Value| address.get("family").is_some_and(|family| family == "inet");
    let addresses: Vec<Value> = entries(addresses).filter(inet).cloned().collect();
    let own = addresses.first().and_then(|address| address.get("local"));
    let own = own.and_then(Value::as_str).unwrap_or("none").to_owned();
    let keys = ["/local", "/prefixlen", "/broadcast", "/scope"];
    seen.extend(lines("address", &Value::Array(addresses), &keys));
    let keys = ["/dst", "/gateway", "/prefsrc", "/scope", "/metric"];
    seen.extend(lines("route", routes, &keys));
    let hairpin = "/linkinfo/info_slave_data/hairpin";
    seen.extend(lines("port", ports, &["/mtu", "/operstate", hairpin]));
    // Each container has another one.
    let mask = |line: &String| {
        let words = line.split(' ');
        let words = words.map(|word| if word == own { "its own" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    Seen::new(seen.iter().map(mask))
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A line for each thing in a list, with what is found at these places.
fn lines(what: &str, list: &Value, places: &[&str]) -> Vec<String> {
    let line = |thing: &Value| {
        let value = |place: &&str| {
            let name = place.rsplit('/').next().unwrap_or_default();
            let value = thing.pointer(place)?.to_string();
            Some(format!(" {name} {}", value.trim_matches('"')))
        };
        format!(
            "{what}:{}",
            places.iter().filter_map(value).collect::<String>()
        )
    };
    entries(list).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attached(address: &str, is_hairpin: bool) -> Seen {
        told(
            &json!([{
                "mtu": 1450,
                "operstate": "UP",
                "addr_info": [
                    { "family": "inet", "local": address, "broadcast": "10.244.1.255" },
                    { "family": "inet6", "local": "fe80::1", "prefixlen": 64 },
                ],
            }]),
            &json!([
                { "dst": "default", "gateway": "10.244.1.1" },
                { "dst": "10.244.1.0/24", "prefsrc": address, "scope": "link" },
            ]),
            &json!([{ "mtu": 1450, "linkinfo": { "info_slave_data": { "hairpin": is_hairpin } } }]),
        )
    }

    #[test]
    fn all_but_the_address_itself_counts() {
        let seen = attached("10.244.1.2", true);
        let expected = [
            "address: local its own broadcast 10.244.1.255",
            "eth0: mtu 1450 operstate UP",
            "port: mtu 1450 hairpin true",
            "route: dst 10.244.1.0/24 prefsrc its own scope link",
            "route: dst default gateway 10.244.1.1",
        ];
        assert_eq!(seen, Seen::new(expected.map(str::to_owned)));
        assert_eq!(seen, attached("10.244.1.3", true));
        assert_ne!(seen, attached("10.244.1.2", false));
    }
}
