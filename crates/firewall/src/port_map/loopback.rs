//! The node's loopback address. `route_localnet` of the link towards a container lets the node's
//! own packets reach the container, and would let packets of others reach the node's own services;
//! a guard drops these.

use std::net::IpAddr;

use netlink::sysctl::SysctlError;
use netlink::{Link, OWN_PROTOCOL, Rtnetlink, sysctl};

use crate::FirewallError;

/// Its packets need no guard.
const LO: &str = "lo";

/// The links whose `route_localnet` a port map may have set, besides those with an address of
/// Twill's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Towards<'a> {
    /// Names of links that lead to containers.
    pub(crate) links: &'a [String],
    /// Containers behind such links.
    pub(crate) containers: &'a [IpAddr],
}

/// Lets the node send packets from its loopback address to a container. The guard must exist
/// before.
pub(crate) fn route_loopback(
    kernel: &mut Rtnetlink,
    container: IpAddr,
) -> Result<(), FirewallError> {
    let Some(link) = link_towards(kernel, container)? else {
        return Ok(());
    };
    let name = setting(&link);
    let Err(error) = sysctl::write(&name, "1") else {
        return Ok(());
    };
    // The value may be right already if it cannot be changed.
    match sysctl::read(&name) {
        Ok(value) if value == "1" => Ok(()),
        _ => Err(error.into()),
    }
}

/// Whether the node can send packets from its loopback address to a container.
pub(crate) fn routes_loopback(
    kernel: &mut Rtnetlink,
    container: IpAddr,
) -> Result<bool, FirewallError> {
    let Some(link) = link_towards(kernel, container)? else {
        return Ok(true);
    };
    Ok(is_open(&link)? || is_open("all")?)
}

/// The links whose `route_localnet` is on, while nothing needs it.
#[derive(Debug)]
pub(crate) enum Open {
    /// Port maps have set it on these, and on no other link is it on.
    ByPortMaps(Vec<Link>),
    /// It is on on a link on which another program may have set it.
    ByOthers,
}

impl Open {
    /// Reads the settings of all links.
    pub(crate) fn read(towards: Towards<'_>) -> Result<Self, FirewallError> {
        let mut kernel = Rtnetlink::open()?;
        let mut open = Vec::new();
        for link in kernel.links()? {
            if link.name != LO && is_open(&link.name)? {
                open.push(link);
            }
        }
        if open.is_empty() {
            return Ok(Self::ByPortMaps(open));
        }
        let mut names = towards.links.to_vec();
        for container in towards.containers {
            names.extend(link_towards(&mut kernel, *container)?);
        }
        let addresses = kernel.all_addresses()?;
        let has_own_address = |link: &Link| {
            let mut all = addresses.iter();
            all.any(|(index, it)| *index == link.index && it.given.protocol == OWN_PROTOCOL)
        };
        let is_own = |link: &Link| names.contains(&link.name) || has_own_address(link);
        Ok(match open.iter().all(is_own) {
            true => Self::ByPortMaps(open),
            false => Self::ByOthers,
        })
    }

    pub(crate) fn can_be_closed(&self) -> bool {
        matches!(self, Self::ByPortMaps(_))
    }

    /// Turns the setting off on all links, or on none. Returns whether it is off.
    pub(crate) fn close(&self) -> bool {
        let Self::ByPortMaps(links) = self else {
            return false;
        };
        let is_off = links.iter().all(|link| {
            let written = sysctl::write(&setting(&link.name), "0");
            matches!(written, Ok(()) | Err(SysctlError::NotFound(_)))
        });
        if !is_off {
            self.reopen();
        }
        is_off
    }

    /// Undoes [`Open::close`].
    pub(crate) fn reopen(&self) {
        let Self::ByPortMaps(links) = self else {
            return;
        };
        for link in links {
            drop(sysctl::write(&setting(&link.name), "1"));
        }
    }
}

fn is_open(link: &str) -> Result<bool, FirewallError> {
    match sysctl::read(&setting(link)) {
        Ok(value) => Ok(value == "1"),
        Err(SysctlError::NotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn setting(link: &str) -> [&str; 4] {
    ["ipv4", "conf", link, "route_localnet"]
}

fn link_towards(
    kernel: &mut Rtnetlink,
    container: IpAddr,
) -> Result<Option<String>, FirewallError> {
    let Some(index) = kernel.link_towards(container)? else {
        return Ok(None);
    };
    Ok(kernel.link_by_index(index)?.map(|link| link.name))
}
