//! What can go wrong, and the code that each error has for the runtime.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use cni_plugin::DelegateError;
use cni_types::{Code, Error, IfName, NameError, PluginType};
use ipnetwork::IpNetwork;
use netlink::sysctl::SysctlError;
use netlink::{InvalidMac, Link, Mac, NetlinkError, NetnsError, Route};
use nix::errno::Errno;

/// The kernel did not do as it was asked. Says which right is missing, if that is why.
#[derive(Debug, thiserror::Error)]
#[error("{source}{}", if source.is_not_permitted() { ": this needs CAP_NET_ADMIN" } else { "" })]
pub struct KernelError {
    #[from]
    source: NetlinkError,
}

impl KernelError {
    /// The kernel's reason, where it gave one.
    pub fn errno(&self) -> Option<Errno> {
        self.source.errno()
    }
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Self {
        let msg = error.to_string();
        let error = Error::from(error.source);
        Error { msg, ..error }
    }
}

/// The container's namespace could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It could not be opened, entered or left.
    #[error("CNI_NETNS: {0}")]
    Netns(#[from] NetnsError),
    /// It could, but the kernel refused something there.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl From<NetlinkError> for SandboxError {
    fn from(error: NetlinkError) -> Self {
        match error {
            NetlinkError::Netns(error) => Self::Netns(error),
            error => Self::Kernel(error.into()),
        }
    }
}

impl From<SandboxError> for Error {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Netns(_) => Error::new(Code::INVALID_NETNS, error),
            SandboxError::Kernel(error) => error.into(),
        }
    }
}

/// The container has such an interface already, so the ADD is one too many, or another plugin was
/// there before.
#[derive(Debug, thiserror::Error)]
#[error("CNI_IFNAME {ifname}: container {} has an interface of this name already", netns.display())]
pub struct IfnameTaken {
    /// `CNI_IFNAME`.
    pub ifname: IfName,
    /// `CNI_NETNS`.
    pub netns: PathBuf,
}

impl From<IfnameTaken> for Error {
    fn from(error: IfnameTaken) -> Self {
        Error::new(Code::INVALID_ENVIRONMENT, error)
    }
}

/// An Ethernet address that was asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MacError {
    /// It is none.
    #[error("{key}: {source}")]
    Invalid {
        /// Where it was asked for.
        key: &'static str,
        /// What is wrong with it.
        source: InvalidMac,
    },
    /// It is a group's, or nobody's.
    #[error(
        "{key}: {mac} is no address of a single interface: the second digit must be even, and not \
            all zero"
    )]
    OfNoInterface {
        /// Where it was asked for.
        key: &'static str,
        /// The address.
        mac: Mac,
    },
}

impl From<MacError> for Error {
    fn from(error: MacError) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

/// The IPAM plugin did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum IpamError {
    /// It cannot be the name of a plugin.
    #[error("ipam.type {0}")]
    Type(NameError),
    /// It is another kind of plugin.
    #[error(
        "ipam.type {0} is no IPAM plugin: it gives no addresses, and would call itself for ever; \
            host-local is one, for example"
    )]
    NoIpam(PluginType),
    /// It failed, or could not be run.
    #[error(transparent)]
    Delegate(DelegateError),
    /// Its answer has no addresses.
    #[error(
        "ipam: plugin {plugin_type} gave no address: correct its configuration, or leave ipam out",
        plugin_type = .0
    )]
    NoAddress(PluginType),
}

impl IpamError {
    /// Whether the plugin may hold addresses nevertheless. One that fails in an orderly way has
    /// given none; a DEL then could take away what an earlier ADD of the same attachment was given.
    pub(crate) fn may_hold_addresses(&self) -> bool {
        match self {
            Self::NoAddress(_) => true,
            Self::Delegate(DelegateError::Failed { error, .. }) => error.code == Code::INTERNAL,
            Self::Delegate(error) => matches!(
                error,
                DelegateError::Talk { .. }
                    | DelegateError::Died { .. }
                    | DelegateError::Garbage { .. }
            ),
            Self::Type(_) | Self::NoIpam(_) => false,
        }
    }
}

impl From<IpamError> for Error {
    fn from(error: IpamError) -> Self {
        let code = match error {
            IpamError::Type(_) | IpamError::NoIpam(_) => Code::INVALID_NETWORK_CONFIG,
            IpamError::Delegate(error) => return error.into(),
            IpamError::NoAddress(_) => Code::DELEGATE_BROKEN,
        };
        Error::new(code, error)
    }
}

/// The link could not be given what IPAM answered.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// A scope that is no number of the kernel's.
    #[error("ipam: route to {dst} has scope {scope}: the largest is 255")]
    Scope {
        /// The route's destination.
        dst: IpNetwork,
        /// The scope.
        scope: u32,
    },
    /// IPv6 does not work with so small a link.
    #[error(
        "mtu {mtu} of interface {ifname} is too small for IPv6 address {address}: it needs 1280 \
            or more"
    )]
    Mtu {
        /// The interface.
        ifname: String,
        /// Its MTU in bytes.
        mtu: u32,
        /// The first IPv6 address.
        address: IpNetwork,
    },
    /// IPv6 is not there, or cannot be switched on.
    #[error("ipam: address {address} cannot be used: {source}")]
    Ipv6 {
        /// The first IPv6 address.
        address: IpNetwork,
        /// What failed.
        source: SysctlError,
    },
    /// The kernel does not take an address.
    #[error("ipam: interface {ifname} cannot have address {address}: {source}")]
    Address {
        /// The interface.
        ifname: String,
        /// The address.
        address: IpNetwork,
        /// The kernel's reason.
        source: KernelError,
    },
    /// The link cannot be set up.
    #[error("cannot set up interface {ifname}{}: \
        {source}", mac.map(|mac| format!(" with mac {mac}")).unwrap_or_default())]
    Up {
        /// The interface.
        ifname: String,
        /// Its Ethernet address.
        mac: Option<Mac>,
        /// The kernel's reason.
        source: KernelError,
    },
    /// The kernel does not take a route.
    #[error(
        "ipam: cannot make the route to {}{}: {source}",
        route.destination,
        route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default()
    )]
    Route {
        /// The route.
        route: Box<Route>,
        /// The kernel's reason.
        source: KernelError,
    },
    /// The kernel cannot reach a route's next hop.
    #[error(
        "ipam: cannot make the route to {}: its next hop {gateway} is in none of the networks of interface {ifname}: name \
         another one, or have IPAM give an address in the next hop's network or, before this route, one to it without next hop",
        route.destination
    )]
    NextHop {
        /// The interface.
        ifname: String,
        /// The route.
        route: Box<Route>,
        /// Its next hop.
        gateway: IpAddr,
        /// The kernel's reason.
        source: KernelError,
    },
    /// Another machine has an address.
    #[error("ipam: address {0} is in use by another machine on the same wire")]
    Duplicate(IpAddr),
    /// The namespace could not be entered or left, or the kernel could not be talked to.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl ConfigureError {
    /// Whether the thread is left in the container's namespace, where nothing must be undone.
    pub(crate) fn is_stranded(&self) -> bool {
        matches!(
            self,
            Self::Sandbox(SandboxError::Netns(NetnsError::Stranded { .. }))
        )
    }
}

impl From<NetnsError> for ConfigureError {
    fn from(error: NetnsError) -> Self {
        Self::Sandbox(error.into())
    }
}

impl From<ConfigureError> for Error {
    fn from(error: ConfigureError) -> Self {
        let msg = error.to_string();
        let code = match error {
            ConfigureError::Sandbox(error) => return error.into(),
            ConfigureError::Scope { .. }
            | ConfigureError::Mtu { .. }
            | ConfigureError::Ipv6 { .. } => Code::INVALID_NETWORK_CONFIG,
            ConfigureError::Address { source, .. }
            | ConfigureError::Up { source, .. }
            | ConfigureError::Route { source, .. }
            | ConfigureError::NextHop { source, .. } => code_of_refusal(&source),
            ConfigureError::Duplicate(_) => Code::ADDRESS_UNAVAILABLE,
        };
        Error::new(code, msg)
    }
}

/// The code of a change that the kernel refused: code 7, as the configuration asked for it, unless
/// the plugin lacks a privilege or the kernel lacks memory or a module.
pub fn code_of_refusal(error: &KernelError) -> Code {
    match error.errno() {
        None
        | Some(Errno::EPERM | Errno::EACCES)
        | Some(Errno::ENOMEM | Errno::ENOBUFS | Errno::EOPNOTSUPP) => Code::IO_FAILURE,
        Some(_) => Code::INVALID_NETWORK_CONFIG,
    }
}

/// What CHECK finds.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The result is another attachment's.
    #[error("prevResult has no interface {ifname} {}", netns.as_ref().map_or("on the node".to_owned(), |netns| format!("with sandbox {netns}")))]
    NotInResult {
        /// The interface.
        ifname: String,
        /// `CNI_NETNS`, or `None` for the node.
        netns: Option<String>,
    },
    /// There is no such interface.
    #[error("interface {ifname} is gone from {}", netns.as_deref().unwrap_or("the node"))]
    Gone {
        /// The interface.
        ifname: String,
        /// `CNI_NETNS`, or `None` for the node.
        netns: Option<String>,
    },
    /// Something about it is not as it was.
    #[error("{what} of interface {ifname} is {found}, not {expected}")]
    Differs {
        /// What: `mac`.
        what: &'static str,
        /// The interface.
        ifname: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// It was set down.
    #[error("interface {0} is down")]
    Down(String),
    /// It is not in a VLAN, or not in the same way.
    #[error("interface {ifname} is not in VLAN {id} as it was")]
    Vlan {
        /// The interface.
        ifname: String,
        /// The VLAN.
        id: u16,
    },
    /// It lacks an address.
    #[error("interface {ifname} does not have address {address} of prevResult")]
    Address {
        /// The interface.
        ifname: String,
        /// The address.
        address: IpNetwork,
    },
    /// The node does not pass its packets on.
    #[error(
        "{0} is 0: the node does not pass on what the container sends to other networks; set it \
            to 1"
    )]
    Forwarding(String),
    /// Another machine has its address.
    #[error(
        "address {address} of interface {ifname} is in use by another machine on the same wire"
    )]
    Duplicate {
        /// The interface.
        ifname: String,
        /// The address.
        address: IpNetwork,
    },
    /// The route to an address's own network is missing.
    #[error("interface {ifname} has no route to {network}, the network of its address")]
    Network {
        /// The interface.
        ifname: String,
        /// The network.
        network: IpNetwork,
    },
    /// A route is missing.
    #[error(
        "the route to {}{} of prevResult is missing",
        route.destination,
        route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default()
    )]
    Route {
        /// The route.
        route: Box<Route>,
    },
}

impl CheckError {
    /// Something about a link is not as it was.
    pub fn differs(
        what: &'static str,
        link: &Link,
        found: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        Self::Differs {
            what,
            ifname: link.name.clone(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}

impl From<CheckError> for Error {
    fn from(error: CheckError) -> Self {
        Error::new(Code::CHECK_FAILED, error)
    }
}

/// STATUS: why an ADD cannot succeed now.
pub fn not_ready(cause: impl Into<Error>) -> Error {
    Error {
        code: Code::NOT_AVAILABLE,
        ..cause.into()
    }
}
