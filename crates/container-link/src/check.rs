//! CHECK: compares the interfaces of `prevResult` with the kernel's links.

mod tables;

use std::fmt;
use std::path::Path;

use cni_types::{AddResult, Code, Error, Interface};
use ipnetwork::IpNetwork;
use netlink::{Link, LinkAddress, Mac, NetlinkError, Route, Rtnetlink};

use self::tables::{Tables, network_of};
use crate::plan;

/// Why CHECK fails.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The result does not have the attachment's interface.
    #[error("prevResult has no interface {ifname} {}", netns.as_ref().map_or("on the node".to_owned(), |netns| format!("with sandbox {netns}")))]
    NotInResult {
        /// The interface.
        ifname: String,
        /// `CNI_NETNS`, or `None` for the node.
        netns: Option<String>,
    },
    /// The interface does not exist.
    #[error("interface {ifname} is gone from {}", netns.as_deref().unwrap_or("the node"))]
    Gone {
        /// The interface.
        ifname: String,
        /// `CNI_NETNS`, or `None` for the node.
        netns: Option<String>,
    },
    /// A property of the interface has changed.
    #[error("{what} of interface {ifname} is {found}, not {expected}")]
    Differs {
        /// The property, such as `mac`.
        what: &'static str,
        /// The interface.
        ifname: String,
        /// The present value.
        found: String,
        /// The value of the ADD.
        expected: String,
    },
    /// The interface is down.
    #[error("interface {0} is down")]
    Down(String),
    /// The port is not a member of a VLAN, or with other flags.
    #[error("interface {ifname} is not in VLAN {id} as it was")]
    Vlan {
        /// The interface.
        ifname: String,
        /// The VLAN.
        id: u16,
    },
    /// The interface lacks an address.
    #[error("interface {ifname} does not have address {address} of prevResult")]
    Address {
        /// The interface.
        ifname: String,
        /// The address.
        address: IpNetwork,
    },
    /// The node does not forward the container's packets.
    #[error(
        "{0} is 0: the node does not pass on what the container sends to other networks; set it \
            to 1"
    )]
    Forwarding(String),
    /// Another machine has an address of the interface.
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
    /// The error for a changed property of a link.
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

/// An interface in the result of ADD, in a container or on the node, and its index in the result.
///
/// # Errors
/// [`CheckError::NotInResult`].
pub fn interface_of<'r>(
    previous: &'r AddResult,
    name: &str,
    netns: Option<&Path>,
) -> Result<(u32, &'r Interface), CheckError> {
    let netns = netns.map(Path::to_string_lossy);
    let matches = |interface: &Interface| {
        interface.name == name && interface.sandbox.as_deref() == netns.as_deref()
    };
    (0..)
        .zip(&previous.interfaces)
        .find(|(_, interface)| matches(interface))
        .ok_or_else(|| CheckError::NotInResult {
            ifname: name.to_owned(),
            netns: netns.as_deref().map(str::to_owned),
        })
}

/// The link of an interface, which must exist and have the MAC of the result.
///
/// # Errors
/// [`CheckError`] (code 120); if the netlink socket fails.
pub fn link(kernel: &mut Rtnetlink, interface: &Interface) -> Result<Link, Error> {
    let link = kernel.link_by_name(&interface.name);
    let link = link?.ok_or_else(|| CheckError::Gone {
        ifname: interface.name.clone(),
        netns: interface.sandbox.clone(),
    })?;
    mac(&link, interface)?;
    Ok(link)
}

/// The name of a link by its index, for a message: `nothing` if there is no index, and the index if
/// there is no such link.
///
/// # Errors
/// If the netlink socket fails.
pub fn name_of(kernel: &mut Rtnetlink, index: Option<u32>) -> Result<String, NetlinkError> {
    let Some(index) = index else {
        return Ok("nothing".to_owned());
    };
    let link = kernel.link_by_index(index)?;
    Ok(link.map_or_else(|| format!("link {index}"), |link| link.name))
}

/// Checks that a link has the MAC of the result, if the result has one.
///
/// # Errors
/// [`CheckError::Differs`].
pub fn mac(link: &Link, interface: &Interface) -> Result<(), CheckError> {
    let expected = interface.mac.as_deref();
    let Some(expected) = expected.filter(|text| text.parse::<Mac>().ok() != link.mac) else {
        return Ok(());
    };
    let found = link.mac.map_or("none".to_owned(), |mac| mac.to_string());
    Err(CheckError::differs("mac", link, found, expected))
}

/// Checks that a link is set up.
///
/// # Errors
/// [`CheckError::Down`].
pub fn up(link: &Link) -> Result<(), CheckError> {
    if link.is_up {
        return Ok(());
    }
    Err(CheckError::Down(link.name.clone()))
}

/// Checks the result's addresses of one of its interfaces, and all of its routes.
///
/// An address without an interface counts as this one's: versions before 0.3.0 name none.
///
/// # Errors
/// [`CheckError`] (code 120); if the netlink socket fails.
pub fn addresses_and_routes(
    inside: &mut Rtnetlink,
    link: &Link,
    previous: &AddResult,
    position: u32,
) -> Result<(), Error> {
    let found = inside.addresses(link.index, None)?;
    let own = previous
        .ips
        .iter()
        .filter(|ip| ip.interface.is_none_or(|interface| interface == position));
    let own: Vec<IpNetwork> = own.map(|ip| ip.address).collect();
    let mut tables = Tables::new(inside, &own);
    for address in &own {
        has_address(&found, link, *address)?;
        has_network(&mut tables, link, *address)?;
    }
    let planned = plan::routes(link.index, &previous.ips, &previous.routes)?;
    for expected in planned {
        let matches = |route: &Route| {
            route.gateway == expected.gateway
                && expected
                    .priority
                    .is_none_or(|priority| route.priority == Some(priority))
        };
        if !tables.have(&expected, matches)? {
            let route = Box::new(expected);
            return Err(CheckError::Route { route }.into());
        }
    }
    Ok(())
}

fn has_address(found: &[LinkAddress], link: &Link, address: IpNetwork) -> Result<(), CheckError> {
    let ifname = || link.name.clone();
    match found.iter().find(|found| found.network == address) {
        None => Err(CheckError::Address {
            ifname: ifname(),
            address,
        }),
        Some(found) if found.is_duplicate => Err(CheckError::Duplicate {
            ifname: ifname(),
            address,
        }),
        Some(_) => Ok(()),
    }
}

/// The kernel creates a route to the network of each address, unless that is the address alone.
fn has_network(tables: &mut Tables<'_>, link: &Link, address: IpNetwork) -> Result<(), Error> {
    let network = network_of(address);
    let is_alone = network.prefix() == if network.is_ipv4() { 32 } else { 128 };
    let matches = |route: &Route| route.link == Some(link.index);
    if is_alone || tables.have(&Route::to(network), matches)? {
        return Ok(());
    }
    let ifname = link.name.clone();
    Err(CheckError::Network { ifname, network }.into())
}
