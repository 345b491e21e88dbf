//! What CHECK compares: the interface of `prevResult` with the one that the container has.

use std::path::Path;

use cni_types::{AddResult, Attachment, Error, Interface};
use ipnetwork::IpNetwork;
use netlink::{Family, Link, LinkAddress, Route, Rtnetlink};

use crate::{CheckError, SandboxError, plan};

/// The attachment's interface in the result of ADD, and its position there.
///
/// # Errors
/// [`CheckError::NotInResult`].
pub fn interface_of<'r>(
    previous: &'r AddResult,
    attachment: &Attachment,
    netns: &Path,
) -> Result<(u32, &'r Interface), CheckError> {
    let netns_text = netns.to_string_lossy();
    let is_it = |interface: &Interface| {
        interface.name == attachment.ifname.as_str()
            && interface.sandbox.as_deref() == Some(&*netns_text)
    };
    (0..)
        .zip(&previous.interfaces)
        .find(|(_, interface)| is_it(interface))
        .ok_or_else(|| CheckError::NotInResult {
            ifname: attachment.ifname.clone(),
            netns: netns.to_owned(),
        })
}

/// The container's link, which must be there, be up, and have the Ethernet address that the result says.
///
/// # Errors
/// [`CheckError`], which is code 120; if the kernel cannot be asked.
pub fn link(
    inside: &mut Rtnetlink,
    interface: &Interface,
    attachment: &Attachment,
    netns: &Path,
) -> Result<Link, Error> {
    let link = inside
        .link_by_name(attachment.ifname.as_str())
        .map_err(SandboxError::from)?;
    let link = link.ok_or_else(|| CheckError::Gone {
        ifname: attachment.ifname.clone(),
        netns: netns.to_owned(),
    })?;
    let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    // An empty text says nothing.
    if let Some(expected) = interface.mac.as_deref().filter(|mac| !mac.is_empty())
        && !expected.eq_ignore_ascii_case(&mac)
    {
        return Err(CheckError::Differs {
            what: "mac",
            ifname: link.name,
            found: mac,
            expected: expected.to_owned(),
        }
        .into());
    }
    if !link.is_up {
        return Err(CheckError::Down(link.name).into());
    }
    Ok(link)
}

/// The result's addresses of one of its interfaces, and all of its routes.
///
/// An address without an interface counts as this one's: versions before 0.3.0 name none.
///
/// # Errors
/// As [`link`].
pub fn addresses_and_routes(
    inside: &mut Rtnetlink,
    link: &Link,
    previous: &AddResult,
    position: u32,
) -> Result<(), Error> {
    let found = inside
        .addresses(link.index, None)
        .map_err(SandboxError::from)?;
    let own = previous
        .ips
        .iter()
        .filter(|ip| ip.interface.is_none_or(|interface| interface == position));
    let mut known = Tables::default();
    for ip in own {
        address(&found, link, ip.address)?;
        network(known.of(inside, &Route::to(ip.address))?, link, ip.address)?;
    }
    let planned = plan::routes(link.index, &previous.ips, &previous.routes)?;
    for expected in planned {
        let is_it = |route: &Route| {
            route.destination == network_of(expected.destination)
                && route.gateway == expected.gateway
                && expected
                    .priority
                    .is_none_or(|priority| route.priority == Some(priority))
        };
        if !known.of(inside, &expected)?.iter().any(is_it) {
            let route = Box::new(expected);
            return Err(CheckError::Route { route }.into());
        }
    }
    Ok(())
}

fn address(found: &[LinkAddress], link: &Link, address: IpNetwork) -> Result<(), CheckError> {
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

/// The kernel makes a route to the network of each address, unless that is the address alone.
fn network(routes: &[Route], link: &Link, address: IpNetwork) -> Result<(), CheckError> {
    let network = network_of(address);
    let is_alone = network.prefix() == if network.is_ipv4() { 32 } else { 128 };
    let is_it = |route: &Route| route.destination == network && route.link == Some(link.index);
    if is_alone || routes.iter().any(is_it) {
        return Ok(());
    }
    Err(CheckError::Network {
        ifname: link.name.clone(),
        network,
    })
}

fn network_of(address: IpNetwork) -> IpNetwork {
    IpNetwork::new(address.network(), address.prefix()).unwrap_or(address)
}

/// The container's routing tables, each read once.
#[derive(Default)]
struct Tables(Vec<((Family, u32), Vec<Route>)>);

impl Tables {
    /// The table that a route is in, with all that it has of the route's family.
    fn of(&mut self, inside: &mut Rtnetlink, route: &Route) -> Result<&[Route], SandboxError> {
        let key = (Family::of(route.destination.ip()), route.table);
        let position = match self.0.iter().position(|(known, _)| *known == key) {
            Some(position) => position,
            None => {
                let routes = inside.routes(key.0, key.1, None)?;
                self.0.push((key, routes));
                self.0.len() - 1
            }
        };
        let table = self.0.get(position);
        Ok(table
            .map(|(_, routes)| routes.as_slice())
            .unwrap_or_default())
    }
}
