//! Links as `ip` shows them.

use std::process::Command;

use serde_json::Value;

use crate::support::lab::Lab;

/// A link with all its details and addresses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link(pub(crate) Value);

/// What `ip -j -d address` printed.
#[track_caller]
pub(crate) fn all_links(json: Value) -> Vec<Link> {
    let Value::Array(links) = json else {
        panic!("`ip` printed {json}")
    };
    // Where it has been told to show one link only, `ip` has empty objects for the others.
    links
        .into_iter()
        .filter(|link| link.get("ifname").is_some())
        .map(Link)
        .collect()
}

impl Link {
    pub(crate) fn name(&self) -> &str {
        self.0["ifname"].as_str().unwrap()
    }

    pub(crate) fn index(&self) -> i64 {
        self.0["ifindex"].as_i64().unwrap()
    }

    pub(crate) fn mac(&self) -> &str {
        self.0["address"].as_str().unwrap()
    }

    pub(crate) fn mtu(&self) -> i64 {
        self.0["mtu"].as_i64().unwrap()
    }

    /// `bridge`, `veth`; nothing for a device.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.0["linkinfo"]["info_kind"].as_str()
    }

    pub(crate) fn master(&self) -> Option<&str> {
        self.0["master"].as_str()
    }

    /// Whether it is up and its other end is.
    pub(crate) fn is_up(&self) -> bool {
        self.has_flag("UP") && self.has_flag("LOWER_UP")
    }

    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        let flags = self.0["flags"].as_array().unwrap();
        flags.iter().any(|own| own == flag)
    }

    /// A setting of the bridge's port that it is, such as `hairpin`.
    pub(crate) fn port(&self, setting: &str) -> &Value {
        &self.0["linkinfo"]["info_slave_data"][setting]
    }

    /// The global addresses with their prefix lengths, sorted, IPv4 first.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let all = self.0["addr_info"].as_array().unwrap().iter();
        let global = all.filter(|address| address["scope"] == "global");
        let mut told: Vec<(&str, String)> = global
            .map(|address| {
                let (local, length) = (&address["local"], &address["prefixlen"]);
                let text = format!("{}/{length}", local.as_str().unwrap());
                (address["family"].as_str().unwrap(), text)
            })
            .collect();
        told.sort_unstable();
        told.into_iter().map(|(_, text)| text).collect()
    }

    /// Whether an address is still being looked for on other machines.
    pub(crate) fn has_tentative_address(&self) -> bool {
        let all = self.0["addr_info"].as_array().unwrap();
        all.iter().any(|address| address.get("tentative").is_some())
    }
}

/// Whether the kernel can tell VLANs apart on a bridge.
#[track_caller]
pub(crate) fn can_filter_vlans(lab: &Lab) -> bool {
    let mut add = Command::new("ip");
    add.args("link add probe0 type bridge vlan_filtering 1".split(' '));
    let can = lab.node.enter(|| add.output()).unwrap().status.success();
    if can {
        lab.ip("link del probe0");
    }
    can
}
