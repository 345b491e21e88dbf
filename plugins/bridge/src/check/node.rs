//! CHECK of the node's forwarding, masquerading and MAC anti-spoofing for an attachment.

use cni_plugin::Call;
use cni_types::{AddResult, Attachment, Error, IpConfig};
use container_link::CheckError;
use ipnetwork::IpNetwork;
use netlink::{Family, sysctl};

use super::links::Links;
use crate::config::Config;
use crate::{layer3, rules};

const OFF: &str = "0";

/// Checks that the node forwards packets that come in by the link with the gateways' addresses. For
/// IPv4 the kernel checks that link's setting, for IPv6 the node's.
pub(super) fn forwarding(
    config: &Config,
    links: &Links,
    previous: &AddResult,
) -> Result<(), Error> {
    if !config.is_gateway {
        return Ok(());
    }
    let name = config.vlan_gateway.as_ref().map(|name| name.as_str());
    let name = name.unwrap_or(&links.bridge.name);
    for family in layer3::families(&previous.ips) {
        let setting = match family {
            Family::V4 => ["ipv4", "conf", name, "forwarding"],
            Family::V6 => ["ipv6", "conf", "all", "forwarding"],
        };
        if sysctl::read(&setting)? == OFF {
            return Err(CheckError::Forwarding(format!("net.{}", setting.join("."))).into());
        }
    }
    Ok(())
}

/// Checks that the packet filter has the rules of the attachment, whose interface is at this
/// position of the result.
pub(super) fn packet_filter(
    call: &Call<'_>,
    attachment: &Attachment,
    config: &Config,
    links: &Links,
    (previous, position): (&AddResult, u32),
) -> Result<(), Error> {
    let network = &call.conf.name;
    if config.holds_to_mac
        && let Some(mac) = links.container.mac
    {
        rules::check_mac(network, attachment, &links.port.name, mac)?;
    }
    if config.masquerading.is_wanted {
        let is_its = |ip: &&IpConfig| ip.interface.is_none_or(|interface| interface == position);
        let own = previous.ips.iter().filter(is_its);
        let addresses: Vec<IpNetwork> = own.map(|ip| ip.address).collect();
        let backend = config.masquerading.backend.unwrap_or_default();
        rules::check_masquerading(backend, network, attachment, &addresses)?;
    }
    Ok(())
}
