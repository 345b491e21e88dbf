//! flanneld's backends: the links and routes that it creates on a node for each other node.

use testkit::Node;

use crate::cluster::{WIRE, ip, tool};
use crate::lease::Family;

/// A backend of flanneld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlannelBackend {
    /// `vxlan`: frames in UDP between the nodes.
    Vxlan,
    /// `host-gw`: the other nodes are gateways to their subnets.
    HostGateway,
}

/// VNI and port of flanneld's defaults.
const VNI: &str = "1";
const PORT: &str = "8472";

impl FlannelBackend {
    /// The MTU of the leases, which flanneld computes from the wire's for IPv4.
    pub(crate) fn lease_mtu(self, wire_mtu: u32) -> u32 {
        self.largest(wire_mtu, Family::V4)
    }

    /// The largest packet between two nodes. VXLAN adds an inner Ethernet header, and headers of
    /// VXLAN, UDP and IP.
    pub(crate) fn largest(self, wire_mtu: u32, family: Family) -> u32 {
        match self {
            Self::Vxlan => wire_mtu - 14 - 8 - 8 - family.ip_header(),
            Self::HostGateway => wire_mtu,
        }
    }

    /// Sets up a node as flanneld does for its own lease.
    #[track_caller]
    pub(crate) fn prepare(self, node: &Node, own: u8, family: Family, mtu: u32) {
        if self == Self::HostGateway {
            return;
        }
        let (device, mac, local) = (device(family), mac(own, family), family.node(own));
        ip(
            node,
            &format!(
                "link add name {device} mtu {mtu} address {mac} type vxlan \
                 id {VNI} dev {WIRE} local {local} dstport {PORT} nolearning"
            ),
        );
        // A prefix of one address, so that the kernel adds no route.
        let (address, length) = (family.subnet_address(own), family.full_length());
        ip(
            node,
            &format!("address add {address}/{length} dev {device}"),
        );
        ip(node, &format!("link set {device} up"));
    }

    /// Configures a node for another node, as flanneld does for the other's lease.
    #[track_caller]
    pub(crate) fn join(self, node: &Node, other: u8, family: Family) {
        let (subnet, gateway) = (family.subnet(other), family.node(other));
        match self {
            Self::HostGateway => {
                ip(
                    node,
                    &format!("route replace {subnet} via {gateway} dev {WIRE}"),
                );
            }
            Self::Vxlan => {
                let (device, mac) = (device(family), mac(other, family));
                let beyond = family.subnet_address(other);
                ip(
                    node,
                    &format!("neighbour replace {beyond} lladdr {mac} dev {device} nud permanent"),
                );
                tool(
                    node,
                    "bridge",
                    &format!("fdb replace {mac} dev {device} dst {gateway} self permanent"),
                );
                ip(
                    node,
                    &format!("route replace {subnet} via {beyond} dev {device} onlink"),
                );
            }
        }
    }

    /// The links that flanneld creates on a node.
    pub(crate) fn links(self, families: &[Family]) -> Vec<&'static str> {
        match self {
            Self::Vxlan => families.iter().copied().map(device).collect(),
            Self::HostGateway => Vec::new(),
        }
    }
}

fn device(family: Family) -> &'static str {
    match family {
        Family::V4 => "flannel.1",
        Family::V6 => "flannel-v6.1",
    }
}

/// The MAC of a node's vxlan device, which flanneld passes on with the lease.
fn mac(node: u8, family: Family) -> String {
    let family = if family == Family::V4 { 4 } else { 6 };
    format!("02:f1:00:00:{family:02x}:{node:02x}")
}
