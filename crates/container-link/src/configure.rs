//! Configuring the container's link: addresses, routes and IPv6 settings.

use std::net::IpAddr;
use std::time::Duration;

use cni_types::{AddResult, Error, IpConfig};
use ipnetwork::IpNetwork;
use netlink::{
    Applied, Change, Existing, Link, LinkChange, Mac, NetlinkError, OperState, Rtnetlink,
};
use nix::errno::Errno;

use crate::settings::{self, Settings};
use crate::{ConfigureError, KernelError, Sandbox, SandboxError, Undo, plan};

/// The least that IPv6 works with, in bytes (RFC 8200).
const MIN_IPV6_MTU: u32 = 1280;

/// How long others have to say that they have an address: the kernel asks once and waits for a
/// second, after up to a second's delay.
const DETECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether it is found out that nobody else has the IPv6 addresses (RFC 4862), which takes a second
/// or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateDetection {
    /// It is not: the addresses can be used at once.
    Off,
    /// It is, and the result is waited for.
    On,
}

/// A link of the container, as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerLink<'a> {
    /// Its number in the container.
    pub index: u32,
    /// Its name there.
    pub name: &'a str,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The alias that it gets (ip-link(8)), if any.
    pub alias: Option<&'a str>,
    /// Whether frames get through as soon as it is set up, so that it can announce its addresses
    /// then. A port of a bridge takes a moment more.
    pub can_announce: bool,
}

/// Has a link announce its addresses to its neighbours, who may know an earlier owner of them: its
/// Ethernet address is set to what it is (arp_notify and ndisc_notify of the kernel's ip-sysctl
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

/// Gives a link of the container the addresses and routes of an IPAM result, and sets it up.
///
/// Addresses come before the link is set up, so that it announces them when it is. An IPAM plugin
/// may have set it up before.
///
/// # Errors
/// What the kernel refuses, with the address or route that it was about. What was made before
/// stays: all of it goes with the link, except for what `undo` is told. If there is no way back
/// from the container's namespace, nothing is undone.
pub fn configure<'a>(
    sandbox: &'a Sandbox,
    inside: &mut Rtnetlink,
    link: ContainerLink<'_>,
    result: &AddResult,
    detection: DuplicateDetection,
    undo: &mut Undo<'a>,
) -> Result<(), ConfigureError> {
    let routes = plan::routes(link.index, &result.ips, &result.routes)?;
    let first_v6 = first_v6(&result.ips);
    if let Some(address) = first_v6.filter(|_| link.mtu < MIN_IPV6_MTU) {
        return Err(ConfigureError::Mtu {
            ifname: link.name.to_owned(),
            mtu: link.mtu,
            address,
        });
    }
    let settings = Settings {
        ifname: link.name,
        log: undo.log(),
    };
    let prepared = sandbox.enter(|| {
        settings.announce();
        let Some(address) = first_v6 else {
            return Ok(None);
        };
        settings.detect_duplicates(detection);
        settings.keep_addresses();
        let enabled = settings.enable_ipv6();
        enabled.map_err(|source| ConfigureError::Ipv6 { address, source })
    });
    if prepared.as_ref().is_err_and(ConfigureError::is_stranded) {
        undo.abandon();
    }
    if let Some(value) = prepared? {
        undo.push("switch IPv6 of lo off", move || {
            sandbox.enter(|| settings::disable_ipv6_of_lo(&value).map_err(Error::from))
        });
    }

    let detects = detection == DuplicateDetection::On;
    let announced = link.mac.filter(|_| link.can_announce);
    let announced = announced.map(|mac| announcement(link.index, mac));
    let addresses = result.ips.iter();
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
    let applied = inside.apply_each(&changes).map_err(SandboxError::from)?;
    let mut earlier = Vec::new();
    for Applied { change, result } in applied {
        match result {
            // Neighbours may only take longer to find the container.
            Err(_) if announced.as_ref() == Some(change) => {}
            // The others are mostly consequences of the first.
            Err(error) => return Err(refused(change, &earlier, link, error)),
            Ok(()) => earlier.push(change),
        }
    }
    if detects && first_v6.is_some() {
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

/// Whether a change makes a network known in which next hops may be.
fn leads_to(change: &Change, gateway: IpAddr) -> bool {
    match change {
        Change::AddAddress { address, .. } => address.contains(gateway),
        Change::AddRoute { route, .. } => {
            route.gateway.is_none() && route.destination.contains(gateway)
        }
        _ => false,
    }
}

/// A next hop that every link with IPv6 has on it.
fn is_link_local(gateway: IpAddr) -> bool {
    matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local())
}

fn refused(
    change: &Change,
    earlier: &[&Change],
    link: ContainerLink<'_>,
    error: NetlinkError,
) -> ConfigureError {
    let (ifname, source) = (link.name.to_owned(), KernelError::from(error));
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
    let sandbox = |error| ConfigureError::from(SandboxError::from(error));
    let now = |inside: &mut Rtnetlink| inside.link_by_index(link).map_err(sandbox);
    // Nobody can be asked as long as the wire is not plugged in, and it may never be.
    let has_no_wire = |link: &Option<Link>| {
        link.as_ref()
            .is_some_and(|link| link.state == OperState::LowerLayerDown)
    };
    if has_no_wire(&now(inside)?) {
        return Ok(());
    }
    match inside.wait_for_addresses(link, DETECTION_TIMEOUT) {
        Err(NetlinkError::DuplicateAddress { address, .. }) => {
            Err(ConfigureError::Duplicate(address))
        }
        Err(error) if error.is_timeout() && !now(inside)?.is_some_and(|l| l.is_operational()) => {
            Ok(())
        }
        waited => waited.map_err(sandbox),
    }
}
