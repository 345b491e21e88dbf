//! What can go wrong, and the code that each error has for the runtime.

use std::fmt;

use cni_plugin::DelegateError;
use cni_types::json::DecodeError;
use cni_types::{Code, Error, IfName, NameError, PluginType, Quoted};
use firewall::UnknownBackend;
use ipnetwork::IpNetwork;
use netlink::sysctl::SysctlError;
use netlink::{Kind, NetlinkError, NetnsError};
use nix::errno::Errno;

/// A key of the configuration asks for what cannot be had here (CNI specification, "Section 5: error").
const UNSUPPORTED_FIELD: Code = Code(2);

/// A configuration that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("bridge {0}")]
    Bridge(NameError),
    #[error("bridge and vlan make the name of a link on the node: {0}")]
    VlanGateway(NameError),
    #[error("mtu {0} is no MTU: use 68 to 65535, or 0 for the usual one")]
    Mtu(i64),
    #[error("{key} {number} is no VLAN: use 1 to 4094{}", if key == "vlan" { ", or 0 for none" } else { "" })]
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
        "hairpinMode and promiscMode are both true: the bridge can do one of them, leave the other one out"
    )]
    HairpinAndPromisc,
    #[error(
        "disableContainerInterface is true, but there is an ipam: an interface that is down has no use for addresses"
    )]
    DisabledWithIpam,
    #[error(transparent)]
    MasqBackend(#[from] UnknownBackend),
    #[error(
        "{key}: {} is no MAC that an interface can have: write it as 0a:58:0a:f4:01:02",
        Quoted(text)
    )]
    Mac { key: &'static str, text: String },
    #[error("CNI_ARGS: MAC={} is no MAC that an interface can have: write it as 0a:58:0a:f4:01:02", Quoted(.0))]
    ArgsMac(String),
    #[error("ipam.type {0}")]
    IpamType(NameError),
    #[error(
        "prevResult is missing in the network configuration: CHECK needs the result of the ADD"
    )]
    NoPreviousResult,
    #[error("{0}")]
    PreviousResult(DecodeError),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::ArgsMac(_) => Code::INVALID_ENVIRONMENT,
            ConfigError::PreviousResult(_) => Code::DECODING_FAILURE,
            ConfigError::Bridge(_)
            | ConfigError::VlanGateway(_)
            | ConfigError::Mtu(_)
            | ConfigError::Vlan { .. }
            | ConfigError::TrunkOrder { .. }
            | ConfigError::HalfTrunk { .. }
            | ConfigError::HairpinAndPromisc
            | ConfigError::DisabledWithIpam
            | ConfigError::MasqBackend(_)
            | ConfigError::Mac { .. }
            | ConfigError::IpamType(_)
            | ConfigError::NoPreviousResult => Code::INVALID_NETWORK_CONFIG,
        };
        Error::new(code, error)
    }
}

/// Why a container could not be attached or detached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BridgeError {
    #[error("bridge {} is no bridge but {}: give another name", Quoted(name.as_str()), describe(kind))]
    NotABridge { name: IfName, kind: Kind },
    #[error("the gateway's link {} is no veth but {}: remove it, or use another vlan", Quoted(name.as_str()), describe(kind))]
    NotAVlanGateway { name: IfName, kind: Kind },
    #[error(
        "{asked_by} cannot be had on bridge {bridge}: the kernel does not filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING)"
    )]
    NoVlans { asked_by: String, bridge: IfName },
    #[error("bridge {0} comes and goes while the container is being attached to it")]
    Unsteady(IfName),
    #[error("CNI_IFNAME {0}: the container has a link of this name already")]
    IfnameTaken(IfName),
    #[error("no name for the node's end of the link is free: the last one that was tried is {0}")]
    NoFreeName(String),
    #[error("ipam: {0} has answered with no address")]
    NoAddress(PluginType),
    #[error("mtu {mtu} is too small for {address}: IPv6 needs 1280 at least")]
    MtuForIpv6 { mtu: u32, address: IpNetwork },
    // The words up to the wanted address are the Go plugin's, and looked for.
    #[error(
        "{link:?} already has an IP address different from {wanted}: it has {existing}, and others are attached to it; \
         detach them first, or set forceAddress to have it replaced"
    )]
    OtherAddress {
        link: String,
        wanted: IpNetwork,
        existing: IpNetwork,
    },
    #[error("CNI_NETNS: {0}")]
    Netns(NetnsError),
    #[error("{}{}", .0, hint(.0))]
    Kernel(NetlinkError),
    #[error("{0}: correct the gateway, or ipam.routes")]
    Unreachable(NetlinkError),
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    #[error(transparent)]
    Ipam(#[from] DelegateError),
}

impl From<NetlinkError> for BridgeError {
    fn from(error: NetlinkError) -> Self {
        match error {
            NetlinkError::Netns(error) => Self::Netns(error),
            error => Self::Kernel(error),
        }
    }
}

impl From<NetnsError> for BridgeError {
    fn from(error: NetnsError) -> Self {
        Self::Netns(error)
    }
}

impl BridgeError {
    /// Why a route was refused: what IPAM wants may be impossible.
    pub(crate) fn of_route(error: NetlinkError) -> Self {
        match error.errno() {
            Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EINVAL) => {
                Self::Unreachable(error)
            }
            _ => error.into(),
        }
    }
}

impl From<BridgeError> for Error {
    fn from(error: BridgeError) -> Self {
        let msg = error.to_string();
        let code = match error {
            BridgeError::NotABridge { .. }
            | BridgeError::NotAVlanGateway { .. }
            | BridgeError::MtuForIpv6 { .. }
            | BridgeError::OtherAddress { .. }
            | BridgeError::Unreachable(_) => Code::INVALID_NETWORK_CONFIG,
            BridgeError::NoVlans { .. } => UNSUPPORTED_FIELD,
            BridgeError::Unsteady(_) => Code::TRY_AGAIN_LATER,
            BridgeError::IfnameTaken(_) => Code::INVALID_ENVIRONMENT,
            BridgeError::NoFreeName(_) => Code::IO_FAILURE,
            BridgeError::NoAddress(_) => Code::DELEGATE_BROKEN,
            BridgeError::Netns(error) => Error::from(error).code,
            BridgeError::Kernel(error) => Error::from(error).code,
            BridgeError::Sysctl(error) => Error::from(error).code,
            BridgeError::Ipam(error) => return error.into(),
        };
        Error::new(code, msg)
    }
}

/// What to do about a refusal.
fn hint(error: &NetlinkError) -> &'static str {
    match error.errno() {
        Some(Errno::EPERM) => ": this needs CAP_NET_ADMIN",
        _ => "",
    }
}

fn describe(kind: &Kind) -> &str {
    match kind {
        Kind::Bridge { .. } => "a bridge",
        Kind::Veth => "a veth",
        Kind::Ipvlan(_) => "an ipvlan",
        Kind::Macvlan(_) => "a macvlan",
        Kind::Other(name) => name,
        Kind::Device => "a device",
    }
}

/// What CHECK finds: a thing, and how it differs from what ADD made of it.
#[derive(Debug, thiserror::Error)]
#[error("{what} {difference}")]
pub(crate) struct Difference {
    what: String,
    difference: String,
}

impl Difference {
    pub(crate) fn new(what: impl fmt::Display, difference: impl fmt::Display) -> Self {
        Self {
            what: what.to_string(),
            difference: difference.to_string(),
        }
    }
}

impl From<Difference> for Error {
    fn from(error: Difference) -> Self {
        Error::new(Code::CHECK_FAILED, error)
    }
}
