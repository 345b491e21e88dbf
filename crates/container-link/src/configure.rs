//! Configuring the container's link: addresses, routes and IPv6 settings.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use cni_plugin::Log;
use cni_types::{AddResult, Code, Error, IpConfig};
use ipnetwork::IpNetwork;
use netlink::sysctl::SysctlError;
use netlink::{
    Applied, Change, Existing, Link, LinkChange, Mac, NetlinkError, NetnsError, OperState, Route,
    Rtnetlink,
};
use nix::errno::Errno;

use crate::settings::Settings;
use crate::{Rollback, Sandbox, UndoInContainer, plan};

/// The smallest MTU for IPv6, in bytes (RFC 8200).
const MIN_IPV6_MTU: u32 = 1280;

/// The timeout for duplicate address detection: the kernel sends one solicitation and waits for a
/// second, after up to a second's delay.
const DETECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout for the kernel to complete a new IPv6 address.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(5);

/// Duplicate address detection of IPv6 addresses (RFC 4862), which takes a second or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateDetection {
    /// The addresses can be used at once.
    Off,
    /// ADD waits for the result of the detection.
    On,
}

/// A new link of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerLink<'a> {
    /// Its index in the container.
    pub index: u32,
    /// Its name there.
    pub name: &'a str,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The alias that it gets (ip-link(8)), if any.
    pub alias: Option<&'a str>,
    /// Whether frames get through as soon as it is set up, so that the kernel's announcement of its
    /// addresses arrives. A port of a bridge takes a moment more.
    pub can_announce: bool,
}

/// Makes a link announce its addresses to its neighbours, whose caches may have an earlier owner:
/// sets its MAC to the same value (arp_notify and ndisc_notify of the kernel's ip-sysctl
/// documentation).
pub fn announcement(index: u32, mac: Mac) -> Change {
    let itself = LinkChange {
        mac: Some(mac),
        ..LinkChange::default()
    };
    Change::SetLink {
        link: index,
        change: itself,
    }
}

/// Waits until packets to new IPv6 addresses arrive in a namespace; otherwise replies to its first
/// packets would be lost. The kernel needs a moment, so this comes last. A timeout is logged and
/// does not fail the ADD.
pub fn wait_for_ipv6(
    kernel: &mut Rtnetlink,
    addresses: impl IntoIterator<Item = IpNetwork>,
    log: &Log,
) {
    let addresses = addresses
        .into_iter()
        .filter_map(|address| match address.ip() {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        });
    let addresses: Vec<Ipv6Addr> = addresses.collect();
    if let Err(error) = kernel.wait_for_local(&addresses, COMPLETION_TIMEOUT) {
        log.error(format_args!("IPv6 may take a while to work: {error}"));
    }
}

/// Gives a link of the container the addresses and routes of an IPAM result, and sets it up.
///
/// Addresses come before the link is set up, so that it announces them when it is. An IPAM plugin
/// may have set it up before.
///
/// # Errors
/// The kernel's refusal, with the address or route. Earlier changes disappear with the link, except
/// those that `rollback` has recorded. If the thread cannot return from the container's namespace,
/// the rollback is abandoned.
pub fn configure<S: From<UndoInContainer> + fmt::Display>(
    sandbox: &Sandbox,
    inside: &mut Rtnetlink,
    link: ContainerLink<'_>,
    result: &AddResult,
    detection: DuplicateDetection,
    log: &Log,
    rollback: &mut Rollback<S>,
) -> Result<(), ConfigureError> {
    let routes = plan::routes(link.index, &result.ips, &result.routes)?;
    match prepare(sandbox, link, &result.ips, detection, log) {
        Ok(None) => {}
        Ok(Some(disable_ipv6)) => {
            rollback.record(UndoInContainer::RestoreIpv6OfLo { disable_ipv6 });
        }
        Err(error) => {
            if error.is_stranded() {
                rollback.abandon(log);
            }
            return Err(error);
        }
    }
    give(inside, link, &result.ips, routes, detection)
}

/// Writes the sysctls of the link, and returns the former `disable_ipv6` of `lo` if it was changed.
fn prepare(
    sandbox: &Sandbox,
    link: ContainerLink<'_>,
    ips: &[IpConfig],
    detection: DuplicateDetection,
    log: &Log,
) -> Result<Option<String>, ConfigureError> {
    let first_v6 = first_v6(ips);
    if let Some(address) = first_v6.filter(|_| link.mtu < MIN_IPV6_MTU) {
        return Err(ConfigureError::Mtu {
            ifname: link.name.to_owned(),
            mtu: link.mtu,
            address,
        });
    }
    let settings = Settings {
        ifname: link.name,
        log,
    };
    sandbox.enter(|| {
        settings.announce();
        let Some(address) = first_v6 else {
            return Ok(None);
        };
        settings.detect_duplicates(detection);
        settings.keep_addresses();
        let enabled = settings.enable_ipv6();
        enabled.map_err(|source| ConfigureError::Ipv6 { address, source })
    })
}

/// Gives the link its addresses and routes, and sets it up.
fn give(
    inside: &mut Rtnetlink,
    link: ContainerLink<'_>,
    ips: &[IpConfig],
    routes: Vec<Route>,
    detection: DuplicateDetection,
) -> Result<(), ConfigureError> {
    let detects = detection == DuplicateDetection::On;
    let announced = link.mac.filter(|_| link.can_announce);
    let announced = announced.map(|mac| announcement(link.index, mac));
    let addresses = ips.iter();
    let routes = routes.into_iter().map(|route| Change::AddRoute {
        route,
        existing: Existing::Join,
    });
    let changes: Vec<Change> = addresses
        .map(|ip| Change::add_address(link.index, ip.address, detects))
        .chain([set_up(link)])
        .chain(routes)
        .chain(announced.clone())
        .collect();
    let applied = inside.apply_each(&changes)?;
    let mut earlier = Vec::new();
    for Applied { change, result } in applied {
        match result {
            // If this fails, neighbours only take longer to find the container.
            Err(_) if announced.as_ref() == Some(change) => {}
            // Further errors are mostly consequences of the first.
            Err(error) => return Err(refused(change, &earlier, link, error)),
            Ok(()) => earlier.push(change),
        }
    }
    if detects && first_v6(ips).is_some() {
        wait_for_addresses(inside, link.index)?;
    }
    Ok(())
}

fn set_up(link: ContainerLink<'_>) -> Change {
    Change::SetLink {
        link: link.index,
        change: LinkChange {
            alias: link.alias.map(str::to_owned),
            ..LinkChange::up(true)
        },
    }
}

/// Whether a change adds a network in which next hops may be.
fn leads_to(change: &Change, gateway: IpAddr) -> bool {
    match change {
        Change::AddAddress { address, .. } => address.contains(gateway),
        Change::AddRoute { route, .. } => {
            route.gateway.is_none() && route.destination.contains(gateway)
        }
        _ => false,
    }
}

/// A next hop that is on-link for every link with IPv6.
fn is_link_local(gateway: IpAddr) -> bool {
    matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local())
}

fn refused(
    change: &Change,
    earlier: &[&Change],
    link: ContainerLink<'_>,
    source: NetlinkError,
) -> ConfigureError {
    let ifname = link.name.to_owned();
    match change {
        Change::AddAddress { address, .. } => ConfigureError::Address {
            ifname,
            address: *address,
            source,
        },
        Change::AddRoute { route, .. } => {
            let reached = |gateway: &IpAddr| {
                is_link_local(*gateway) || earlier.iter().any(|change| leads_to(change, *gateway))
            };
            let is_unreachable = matches!(
                source.errno(),
                Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH)
            );
            let route = Box::new(*route);
            match route.gateway.filter(|gateway| !reached(gateway)) {
                Some(gateway) if is_unreachable => ConfigureError::NextHop {
                    ifname,
                    route,
                    gateway,
                    source,
                },
                _ => ConfigureError::Route { route, source },
            }
        }
        _ => ConfigureError::Up {
            ifname,
            mac: link.mac,
            source,
        },
    }
}

fn first_v6(ips: &[IpConfig]) -> Option<IpNetwork> {
    ips.iter()
        .map(|ip| ip.address)
        .find(|address| address.is_ipv6())
}

fn wait_for_addresses(inside: &mut Rtnetlink, link: u32) -> Result<(), ConfigureError> {
    // Without a carrier the kernel does not begin with the detection, and there may never be one.
    let has_no_wire = |link: &Option<Link>| {
        link.as_ref()
            .is_some_and(|link| link.state == OperState::LowerLayerDown)
    };
    if has_no_wire(&inside.link_by_index(link)?) {
        return Ok(());
    }
    match inside.wait_for_addresses(link, DETECTION_TIMEOUT) {
        Err(NetlinkError::DuplicateAddress { address, .. }) => {
            Err(ConfigureError::Duplicate(address))
        }
        Err(error)
            if error.is_timeout()
                && !inside
                    .link_by_index(link)?
                    .is_some_and(|l| l.is_operational()) =>
        {
            Ok(())
        }
        waited => Ok(waited?),
    }
}

/// Why the container's link could not be configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// A scope that is out of range.
    #[error("ipam: route to {dst} has scope {scope}: the largest is 255")]
    Scope {
        /// The route's destination.
        dst: IpNetwork,
        /// The scope.
        scope: u32,
    },
    /// The MTU is too small for IPv6.
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
    /// The kernel has no IPv6, or it cannot be switched on.
    #[error("ipam: address {address} cannot be used: {source}")]
    Ipv6 {
        /// The first IPv6 address.
        address: IpNetwork,
        /// What failed.
        source: SysctlError,
    },
    /// The kernel refused an address.
    #[error("ipam: interface {ifname} cannot have address {address}: {source}")]
    Address {
        /// The interface.
        ifname: String,
        /// The address.
        address: IpNetwork,
        /// The kernel's reason.
        source: NetlinkError,
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
        source: NetlinkError,
    },
    /// The kernel refused a route.
    #[error(
        "ipam: cannot make the route to {}{}: {source}",
        route.destination,
        route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default()
    )]
    Route {
        /// The route.
        route: Box<Route>,
        /// The kernel's reason.
        source: NetlinkError,
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
        source: NetlinkError,
    },
    /// Another machine has an address.
    #[error("ipam: address {0} is in use by another machine on the same wire")]
    Duplicate(IpAddr),
    /// The namespace could not be entered or left, or the netlink socket failed.
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
}

impl ConfigureError {
    /// Whether the thread is still in the container's namespace, where nothing must be undone.
    fn is_stranded(&self) -> bool {
        matches!(
            self,
            Self::Kernel(NetlinkError::Netns(NetnsError::Stranded { .. }))
        )
    }
}

impl From<NetnsError> for ConfigureError {
    fn from(error: NetnsError) -> Self {
        Self::Kernel(error.into())
    }
}

impl From<ConfigureError> for Error {
    fn from(error: ConfigureError) -> Self {
        let msg = error.to_string();
        let code = match error {
            ConfigureError::Kernel(error) => return error.into(),
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

/// The code of a change that the kernel refused: code 7, because the configuration requested it,
/// unless the plugin lacks a privilege or the kernel lacks memory or a module.
pub fn code_of_refusal(error: &NetlinkError) -> Code {
    match error.errno() {
        None
        | Some(Errno::EPERM | Errno::EACCES)
        | Some(Errno::ENOMEM | Errno::ENOBUFS | Errno::EOPNOTSUPP) => Code::IO_FAILURE,
        Some(_) => Code::INVALID_NETWORK_CONFIG,
    }
}
