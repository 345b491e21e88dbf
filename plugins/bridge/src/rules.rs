//! The rules of the packet filter: masquerading, and holding a container to its MAC.

use cni_plugin::Call;
use cni_types::{Attachment, Error, NetworkName, ValidAttachments};
use firewall::{Backend, FirewallError, Iptables, Nftables};
use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::config::Masquerading;

/// Has what leaves the containers' networks come from the node.
pub(crate) fn masquerade(
    backend: Backend,
    network: &NetworkName,
    attachment: &Attachment,
    addresses: &[IpNetwork],
) -> Result<(), FirewallError> {
    match backend {
        Backend::Nftables => Nftables::open()?.masquerade(network, attachment, addresses),
        Backend::Iptables => Iptables.masquerade(network, attachment, addresses),
    }
}

/// Drops what comes in by a port of the bridge from another MAC.
pub(crate) fn allow_only_mac(
    network: &NetworkName,
    attachment: &Attachment,
    port: &str,
    mac: Mac,
) -> Result<(), FirewallError> {
    Nftables::open()?.allow_only_mac(network, attachment, port, mac)
}

/// Removes an attachment's rules, if there are any, whatever made them.
pub(crate) fn remove(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let network = &call.conf.name;
    if Nftables::open()?.remove(network, attachment)? || !may_have_used_iptables(call) {
        return Ok(());
    }
    unless_not_installed(Iptables.remove(network, attachment))
}

/// Removes the rules of a network's attachments that are not valid any more.
pub(crate) fn collect(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    let network = &call.conf.name;
    Nftables::open()?.collect(network, valid)?;
    if may_have_used_iptables(call) {
        unless_not_installed(Iptables.collect(network, valid))?;
    }
    Ok(())
}

/// Whether the rules of a network's attachments may have been made by iptables: the configuration may have said so, and it is
/// what the Go plugins use if it says nothing.
fn may_have_used_iptables(call: &Call<'_>) -> bool {
    match Masquerading::of(call) {
        Ok(masquerading) => {
            masquerading.is_wanted && masquerading.backend != Some(Backend::Nftables)
        }
        Err(_) => false,
    }
}

/// Programs that are not there have made nothing.
fn unless_not_installed(outcome: Result<(), FirewallError>) -> Result<(), Error> {
    match outcome {
        Err(FirewallError::NoProgram { .. }) => Ok(()),
        outcome => Ok(outcome?),
    }
}
