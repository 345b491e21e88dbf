//! The node's side of a port map: its own addresses, and its loopback address.

use std::net::IpAddr;

use netlink::{Rtnetlink, sysctl};

use crate::FirewallError;

/// The link to which kube-proxy, in IPVS mode, gives the addresses of all services.
const SERVICES: &str = "kube-ipvs0";

/// The node's addresses without those of services; `None` if kube-proxy has no link for services.
pub(crate) fn addresses_without_services(
    kernel: &mut Rtnetlink,
) -> Result<Option<Vec<IpAddr>>, FirewallError> {
    let Some(services) = kernel.link_by_name(SERVICES)? else {
        return Ok(None);
    };
    let all = kernel.all_addresses()?.into_iter();
    let own = all.filter(|(link, _)| *link != services.index);
    Ok(Some(own.map(|(_, address)| address.network.ip()).collect()))
}

/// Lets the node send packets from its loopback address to a container. The guard of the table must
/// exist before.
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
    let is_on = |link| Ok::<_, FirewallError>(sysctl::read(&setting(link))? == "1");
    Ok(is_on(&link)? || is_on("all")?)
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
