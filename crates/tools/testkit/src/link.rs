//! Links as `ip` shows them.

use serde_json::Value;

/// A link with all its details and addresses, as `ip -j -d address` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Link(pub Value);

impl Link {
    /// The links that `ip -j -d address` printed.
    #[track_caller]
    pub(crate) fn all(json: Value) -> Vec<Self> {
        let Value::Array(links) = json else {
            panic!("`ip` printed {json}")
        };
        // If one link is asked for, `ip` prints empty objects for the others.
        links
            .into_iter()
            .filter(|link| link.get("ifname").is_some())
            .map(Self)
            .collect()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0["ifname"].as_str().unwrap()
    }

    /// Its index, in its own namespace.
    pub fn index(&self) -> u64 {
        self.0["ifindex"].as_u64().unwrap()
    }

    /// Its MAC.
    pub fn mac(&self) -> &str {
        self.0["address"].as_str().unwrap()
    }

    /// Its MTU in bytes.
    pub fn mtu(&self) -> u64 {
        self.0["mtu"].as_u64().unwrap()
    }

    /// `bridge`, `macvlan`, `veth`; nothing for a device.
    pub fn kind(&self) -> Option<&str> {
        self.0["linkinfo"]["info_kind"].as_str()
    }

    /// The mode of an ipvlan or a macvlan.
    pub fn mode(&self) -> Option<&str> {
        self.0["linkinfo"]["info_data"]["mode"].as_str()
    }

    /// The index of the link whose wire it shares, or of its other end, in that one's namespace.
    pub fn parent(&self) -> Option<u64> {
        self.0["link_index"].as_u64()
    }

    /// The bridge whose port it is.
    pub fn master(&self) -> Option<&str> {
        self.0["master"].as_str()
    }

    /// A setting of the bridge's port that it is, such as `hairpin`.
    pub fn port(&self, setting: &str) -> &Value {
        &self.0["linkinfo"]["info_slave_data"][setting]
    }

    /// Whether it is up and its other end is.
    pub fn is_up(&self) -> bool {
        self.has_flag("UP") && self.has_flag("LOWER_UP")
    }

    /// Whether it has a flag, such as `PROMISC`.
    pub fn has_flag(&self, flag: &str) -> bool {
        let flags = self.0["flags"].as_array().unwrap();
        flags.iter().any(|own| own == flag)
    }

    /// The global addresses with their prefix lengths, sorted, IPv4 first.
    pub fn addresses(&self) -> Vec<String> {
        let mut printed: Vec<(&str, String)> = self
            .global_addresses()
            .map(|address| {
                let (local, length) = (&address["local"], &address["prefixlen"]);
                let text = format!("{}/{length}", local.as_str().unwrap());
                (address["family"].as_str().unwrap(), text)
            })
            .collect();
        printed.sort_unstable();
        printed.into_iter().map(|(_, text)| text).collect()
    }

    /// The global addresses with everything that the kernel notes of them.
    pub fn addresses_in_full(&self) -> Vec<Value> {
        self.global_addresses().cloned().collect()
    }

    /// Whether an address is still being looked for on other machines, and may not be used yet. The
    /// one that the kernel makes itself does not count: it takes a moment even if nobody is asked.
    pub fn has_tentative_address(&self) -> bool {
        self.global_addresses()
            .any(|address| address.get("tentative").is_some())
    }

    fn global_addresses(&self) -> impl Iterator<Item = &Value> {
        let all = self.0["addr_info"].as_array().unwrap().iter();
        all.filter(|address| address["scope"] == "global")
    }
}
