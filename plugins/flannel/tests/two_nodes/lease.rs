//! The leases of numbered nodes in one network.

use std::fmt::Write as _;

/// An address family, and the form of the network's addresses in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A node's lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) node: u8,
    pub(crate) families: &'static [Family],
    pub(crate) mtu: u32,
}

impl Lease {
    /// The subnet.env that flanneld writes, in its order.
    pub(crate) fn subnet_env(&self) -> String {
        let mut text = String::new();
        for family in self.families {
            let (key, network, length) = match family {
                Family::V4 => ("", "10.244.0.0/16", 24),
                Family::V6 => ("IPV6_", "fd00:10:244::/48", 64),
            };
            let gateway = family.container(self.node, 1);
            writeln!(text, "FLANNEL_{key}NETWORK={network}").unwrap();
            writeln!(text, "FLANNEL_{key}SUBNET={gateway}/{length}").unwrap();
        }
        writeln!(text, "FLANNEL_MTU={}\nFLANNEL_IPMASQ=true", self.mtu).unwrap();
        text
    }
}

impl Family {
    /// The option of `ip` and `ping`.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }

    /// A node's subnet.
    pub(crate) fn subnet(self, node: u8) -> String {
        match self {
            Self::V4 => format!("10.244.{node}.0/24"),
            Self::V6 => format!("fd00:10:244:{node}::/64"),
        }
    }

    /// The subnet's own address, which flanneld gives to the node's vxlan device.
    pub(crate) fn subnet_address(self, node: u8) -> String {
        match self {
            Self::V4 => format!("10.244.{node}.0"),
            Self::V6 => format!("fd00:10:244:{node}::"),
        }
    }

    /// Address `number` of a node's lease; the first one is the bridge's.
    pub(crate) fn container(self, node: u8, number: u8) -> String {
        match self {
            Self::V4 => format!("10.244.{node}.{number}"),
            Self::V6 => format!("fd00:10:244:{node}::{number:x}"),
        }
    }

    /// The node's address on the wire.
    pub(crate) fn node(self, node: u8) -> String {
        match self {
            Self::V4 => format!("192.168.50.{node}"),
            Self::V6 => format!("fd00:192:168:50::{node}"),
        }
    }

    /// The length of addresses on the wire's network.
    pub(crate) fn wire_length(self) -> u8 {
        match self {
            Self::V4 => 24,
            Self::V6 => 64,
        }
    }

    /// The length of a single address.
    pub(crate) fn full_length(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The length of a packet's header, in bytes.
    pub(crate) fn ip_header(self) -> u32 {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}
