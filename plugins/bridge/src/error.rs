//! The plugin's errors, and the code that each has for the runtime.

use cni_types::{Code, Error, IfName, LinkName, NameError, Quoted};
use container_link::IfnameTaken;
use firewall::UnknownBackend;
use ipnetwork::IpNetwork;
use netlink::sysctl::SysctlError;
use netlink::{LinkKind, NetlinkError};

/// The largest number of ports of a bridge (`BR_MAX_PORTS`, without port number 0).
const MAX_PORTS: u32 = 1023;

/// An invalid configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("bridge {0}")]
    Bridge(NameError),
    #[error("bridge and vlan make the name of a link on the node: {0}")]
    VlanGateway(NameError),
    #[error("{key} {number} is no VLAN: use 1 to \
        4094{}", if key == "vlan" { ", or 0 for none" } else { "" })]
    Vlan { key: String, number: i64 },
    #[error("{key}: minID {min} is greater than maxID {max}")]
    TrunkOrder { key: String, min: i64, max: i64 },
    #[error("{key} has {has} {value} without {lacks}: give both, or id for a single VLAN")]
    HalfTrunk {
        key: String,
        has: &'static str,
        value: i64,
        lacks: &'static str,
    },
    #[error(
        "hairpinMode and promiscMode are both true: the bridge can do one of them, leave the \
            other one out"
    )]
    HairpinAndPromisc,
    #[error(
        "disableContainerInterface is true, but there is an ipam: an interface that is down has \
            no use for addresses"
    )]
    DisabledWithIpam,
    #[error(transparent)]
    MasqBackend(#[from] UnknownBackend),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

/// Why a container could not be attached or detached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BridgeError {
    #[error("bridge {} is no bridge, its kind is {}: give another \
        name", Quoted(name.as_str()), kind.name())]
    NotABridge { name: LinkName, kind: LinkKind },
    #[error(
        "bridge {0}, and no bridge has this as an alternative name: create it, or give a shorter \
            name"
    )]
    NotMade(NameError),
    #[error(
        "the gateway's link {} is neither a veth that is plugged into bridge {bridge} nor a device of its VLAN {vlan} \
         (ip link add link {bridge} name {name} type vlan id {vlan}), its kind is {}: rename it, or use another vlan",
        Quoted(name.as_str()), kind.name()
    )]
    NotAVlanGateway {
        name: IfName,
        kind: LinkKind,
        bridge: LinkName,
        vlan: u16,
    },
    #[error(
        "{asked_by} is not possible on bridge {bridge}: the kernel does not filter VLANs \
            (CONFIG_BRIDGE_VLAN_FILTERING)"
    )]
    NoVlans { asked_by: String, bridge: LinkName },
    #[error(
        "{asked_by} is not possible on bridge {bridge}: it does not filter VLANs, and would drop \
         the tagged frames of its other ports if it did: add its ports to their VLANs (bridge \
         vlan add), then switch filtering on (ip link set {bridge} type bridge vlan_filtering 1), or use another bridge"
    )]
    WouldFilter { asked_by: String, bridge: LinkName },
    #[error(
        "bridge {bridge} has {MAX_PORTS} ports already, the most that the kernel allows: no more containers can be \
         attached to it until others leave; keep to fewer pods on the node, or use a second bridge"
    )]
    Full { bridge: String },
    #[error("bridge {0} comes and goes while the container is being attached to it")]
    Unsteady(String),
    #[error(transparent)]
    IfnameTaken(#[from] IfnameTaken),
    #[error("no name for the node's end of the link is free: the last one that was tried is {0}")]
    NoFreeName(String),
    // The message up to the wanted address is the Go plugin's, because other programs search for
    // it.
    #[error(
        "{link:?} already has an IP address different from {wanted}: it has {existing} of an earlier lease, which others \
         that are attached to it still use; the first ADD after the last of them is gone replaces \
         it, so there is nothing \
         to remove by hand; forceAddress replaces it at once, and cuts them off"
    )]
    StaleAddress {
        link: String,
        wanted: IpNetwork,
        existing: IpNetwork,
    },
    #[error(
        "{link:?} already has an IP address different from {wanted}: it has {existing}, which no CNI plugin is known to \
         have given it; use another bridge, remove it if it is of no use any more (ip address del \
         {existing} dev {link}), \
         or set forceAddress to have it replaced"
    )]
    OtherAddress {
        link: String,
        wanted: IpNetwork,
        existing: IpNetwork,
    },
    #[error(
        "ipam: {0} is the address of the container and of its gateway as well: have IPAM give another address, or name \
         another gateway"
    )]
    GatewaysAddress(IpNetwork),
    #[error("ipam: the container cannot have address {address}: the node has it on {link}")]
    OwnAddress { link: String, address: IpNetwork },
    #[error(
        "ipam: {link} cannot have the gateway's address {address}: IPv6 is switched off on it; set \
         net.ipv6.conf.{link}.disable_ipv6 to 0, or have IPAM give no IPv6 address"
    )]
    Ipv6Off { link: String, address: IpNetwork },
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
}

impl From<BridgeError> for Error {
    fn from(error: BridgeError) -> Self {
        let msg = error.to_string();
        let code = match error {
            BridgeError::NotABridge { .. }
            | BridgeError::NotMade(_)
            | BridgeError::NotAVlanGateway { .. }
            | BridgeError::StaleAddress { .. }
            | BridgeError::OtherAddress { .. }
            | BridgeError::GatewaysAddress(_)
            | BridgeError::OwnAddress { .. } => Code::INVALID_NETWORK_CONFIG,
            BridgeError::NoVlans { .. }
            | BridgeError::WouldFilter { .. }
            | BridgeError::Ipv6Off { .. } => Code::UNSUPPORTED_FIELD,
            BridgeError::Unsteady(_) | BridgeError::Full { .. } => Code::TRY_AGAIN_LATER,
            BridgeError::NoFreeName(_) => Code::IO_FAILURE,
            BridgeError::IfnameTaken(error) => return error.into(),
            BridgeError::Kernel(error) => return error.into(),
            BridgeError::Sysctl(error) => return error.into(),
        };
        Error::new(code, msg)
    }
}
