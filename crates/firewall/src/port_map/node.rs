//! The node's own addresses.

use std::net::IpAddr;

use netlink::Rtnetlink;

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
