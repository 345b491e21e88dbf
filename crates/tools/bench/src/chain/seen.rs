//! What there is on a node and in its containers.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;
use testkit::Node;

use super::slot::Slot;
use crate::container;

/// Things that can be seen, each as a line that names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(Vec<String>);

impl Seen {
    /// Links with their IPv4 addresses, kept configurations and addresses in use. A folder that is not there has nothing in it.
    pub(super) fn on<'a>(
        node: &Node,
        slots: &[Slot],
        folders: impl IntoIterator<Item = &'a Path>,
    ) -> Self {
        let mut seen = links("node", &node.ip_json(&["address"]));
        for (number, slot) in slots.iter().enumerate() {
            let place = format!("container {number}");
            seen.extend(links(&place, &slot.sandbox.ip_json(&["address"])));
        }
        for folder in folders {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                // Others are the plugins' own: locks, indexes, the address given last.
                if container::is_id(&name) || name.parse::<IpAddr>().is_ok() {
                    seen.push(format!("file {}", entry.path().display()));
                }
            }
        }
        Self::new(seen)
    }

    /// Lines in any order.
    pub(super) fn new(lines: impl IntoIterator<Item = String>) -> Self {
        let mut lines: Vec<String> = lines.into_iter().collect();
        lines.sort_unstable();
        Self(lines)
    }

    /// An error unless it is the same as the other.
    pub(super) fn check_same(&self, other: &Self) -> Result<()> {
        let only = |one: &Self, other: &Self| {
            let lines = one.0.iter().filter(|line| !other.0.contains(line));
            lines.cloned().collect::<Vec<_>>().join(", ")
        };
        ensure!(
            self == other,
            "there is [{}] instead of [{}]",
            only(self, other),
            only(other, self)
        );
        Ok(())
    }
}

/// What `ip -j address` tells of a place.
fn links(place: &str, told: &Value) -> Vec<String> {
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let line = |link: &Value| {
        let addresses = list(link.get("addr_info").unwrap_or(&Value::Null));
        let addresses = addresses
            .iter()
            .filter(|address| text(address, "family") == "inet");
        let addresses: Vec<String> = addresses.map(|address| text(address, "local")).collect();
        let name = text(link, "ifname");
        format!("link {name} {} of {place}", addresses.join(" "))
    };
    list(told).iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_leak_is_named() {
        let of = |links: [&str; 2]| Seen::new(links.map(str::to_owned));
        let before = of(["link lo", "link cni0"]);
        before.check_same(&of(["link cni0", "link lo"])).unwrap();
        let error = of(["link lo", "link veth0"])
            .check_same(&before)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is [link veth0] instead of [link cni0]"
        );
    }

    #[test]
    fn links_are_told_with_their_addresses() {
        let told = json!([
            { "ifname": "lo", "addr_info": [] },
            { "ifname": "cni0", "addr_info": [
                { "family": "inet", "local": "10.244.1.1" },
                { "family": "inet6", "local": "fe80::1" },
            ] },
        ]);
        assert_eq!(
            links("node", &told),
            ["link lo  of node", "link cni0 10.244.1.1 of node"]
        );
    }
}
