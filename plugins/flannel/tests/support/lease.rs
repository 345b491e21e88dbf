//! Leases, and the addresses that containers get from them.

/// The part of a lease for one family.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    /// `4` or `6`, as in `ips[].version` of a result and in options of `ip`.
    pub(crate) version: &'static str,
    /// The network of all nodes.
    pub(crate) network: &'static str,
    /// The node's subnet.
    pub(crate) subnet: &'static str,
    /// The subnet's first address.
    pub(crate) gateway: &'static str,
    /// The text before a host's number in an address.
    hosts: &'static str,
    pub(crate) prefix_length: u8,
    pub(crate) everything: &'static str,
}

const IPV4: Family = Family {
    version: "4",
    network: "10.244.0.0/16",
    subnet: "10.244.1.0/24",
    gateway: "10.244.1.1",
    hosts: "10.244.1.",
    prefix_length: 24,
    everything: "0.0.0.0/0",
};

const IPV6: Family = Family {
    version: "6",
    network: "fd00:10:244::/56",
    subnet: "fd00:10:244:1::/64",
    gateway: "fd00:10:244:1::1",
    hosts: "fd00:10:244:1::",
    prefix_length: 64,
    everything: "::/0",
};

const OTHER_IPV4: Family = Family {
    network: "10.99.0.0/16",
    subnet: "10.99.7.0/24",
    gateway: "10.99.7.1",
    hosts: "10.99.7.",
    ..IPV4
};

/// A lease, IPv4 before IPv6.
#[derive(Clone, Copy)]
pub(crate) struct Lease(pub(crate) &'static [Family]);

pub(crate) const ONLY_IPV4: Lease = Lease(&[IPV4]);
pub(crate) const DUAL_STACK: Lease = Lease(&[IPV4, IPV6]);
pub(crate) const ONLY_IPV6: Lease = Lease(&[IPV6]);
/// The lease of another flannel network on the same node.
pub(crate) const OTHER: Lease = Lease(&[OTHER_IPV4]);

pub(crate) const MTU: u32 = 1450;

impl Lease {
    /// The subnet.env that flanneld writes, in its order.
    pub(crate) fn subnet_env(&self) -> String {
        let mut text = String::new();
        for family in self.0 {
            let key = if family.version == "4" { "" } else { "IPV6_" };
            let (network, gateway, length) = (family.network, family.gateway, family.prefix_length);
            text += &format!("FLANNEL_{key}NETWORK={network}\n");
            text += &format!("FLANNEL_{key}SUBNET={gateway}/{length}\n");
        }
        text + &format!("FLANNEL_MTU={MTU}\nFLANNEL_IPMASQ=true\n")
    }

    /// The addresses of a host, one per family.
    pub(crate) fn host(&self, number: u8) -> Vec<String> {
        self.0.iter().map(|family| family.host(number)).collect()
    }
}

impl Family {
    pub(crate) fn host(&self, number: u8) -> String {
        // In IPv6 the number is hexadecimal; the tests only use numbers below 10.
        assert!(number < 10);
        format!("{}{number}", self.hosts)
    }
}
