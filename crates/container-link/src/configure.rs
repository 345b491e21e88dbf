//! Configuring the container's link: addresses, routes and IPv6 settings.

use std::net::IpAddr;
use std::time::Duration;

use cni_types::{AddResult, Error, IpConfig};
use ipnetwork::IpNetwork;
use netlink::{Change, Existing, Link, LinkChange, Mac, NetlinkError, OperState, Route, Rtnetlink};
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
pub fn announcement(index: u32, mac: Mac) -> Change<'static> {
    let itself = LinkChange {
        mac: Some(mac),
        ..LinkChange::default()
    };
    Change::change_link(index, &itself)
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

    let steps: Vec<Step> = result
        .ips
        .iter()
        .map(|ip| Step::Address(ip.address))
        .chain([Step::Up])
        .chain(routes.into_iter().map(Step::Route))
        .chain(link.mac.filter(|_| link.can_announce).map(Step::Announce))
        .collect();
    let detects = detection == DuplicateDetection::On;
    let changes: Vec<Change<'_>> = steps
        .iter()
        .map(|step| step.change(link, detects))
        .collect();
    let refusals = inside.perform_each(&changes).map_err(SandboxError::from)?;
    // The others are mostly what comes of the first.
    if let Some((position, error)) = refusals.into_iter().next()
        && let Some(step) = steps.get(position)
        && !matches!(step, Step::Announce(_))
    {
        let earlier = steps.get(..position).unwrap_or_default();
        return Err(refused(step, earlier, link, error));
    }
    if detects && first_v6.is_some() {
        wait_for_addresses(inside, link.index)?;
    }
    Ok(())
}

#[derive(Debug)]
enum Step {
    Address(IpNetwork),
    Up,
    Route(Route),
    Announce(Mac),
}

impl Step {
    fn change(&self, link: ContainerLink<'_>, detect_duplicates: bool) -> Change<'static> {
        let index = link.index;
        match self {
            Self::Address(address) => Change::add_address(index, *address, detect_duplicates),
            Self::Up => {
                let change = LinkChange {
                    alias: link.alias,
                    ..LinkChange::up(true)
                };
                Change::change_link(index, &change)
            }
            Self::Route(route) => Change::add_route(route, Existing::Join),
            Self::Announce(mac) => announcement(index, *mac),
        }
    }
}

/// Whether a step makes a network known in which next hops may be.
fn leads_to(step: &Step, gateway: IpAddr) -> bool {
    match step {
        Step::Address(network) => network.contains(gateway),
        Step::Route(route) => route.gateway.is_none() && route.destination.contains(gateway),
        Step::Up | Step::Announce(_) => false,
    }
}

/// A next hop that every link with IPv6 has on it.
fn is_link_local(gateway: IpAddr) -> bool {
    matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local())
}

fn refused(
    step: &Step,
    earlier: &[Step],
    link: ContainerLink<'_>,
    error: NetlinkError,
) -> ConfigureError {
    let (ifname, source) = (link.name.to_owned(), KernelError::from(error));
    match step {
        Step::Address(address) => ConfigureError::Address {
            ifname,
            address: *address,
            source,
        },
        Step::Route(route) => {
            let reached = |gateway: &IpAddr| {
                is_link_local(*gateway) || earlier.iter().any(|step| leads_to(step, *gateway))
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
        Step::Up | Step::Announce(_) => ConfigureError::Up {
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
