//! The rules of the packet filter: masquerading and MAC anti-spoofing.

use cni_plugin::Call;
use cni_types::{AddResult, Attachment, Error, NetworkName, ValidAttachments};
use firewall::{Backend, FirewallError, Iptables, Nftables};
use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::config::Masquerading;

/// Masquerades packets that leave the containers' networks.
pub(crate) fn masquerade(
    backend: Backend,
    network: &NetworkName,
    attachment: &Attachment,
    addresses: &[IpNetwork],
) -> Result<(), Error> {
    match backend {
        Backend::Nftables => Nftables::open()?.masquerade(network, attachment, addresses)?,
        Backend::Iptables => Iptables
            .masquerade(network, attachment, addresses)
            .map_err(of_programs)?,
    }
    Ok(())
}

/// The error of the backend `iptables`: names the key if the programs are missing.
fn of_programs(error: FirewallError) -> Error {
    let is_missing = matches!(error, FirewallError::NoProgram { .. });
    let error = Error::from(error);
    if is_missing {
        let msg = format!("ipMasqBackend: {}", error.msg);
        return Error { msg, ..error };
    }
    error
}

/// Drops frames that come in through a port of the bridge with another source MAC.
pub(crate) fn allow_only_mac(
    network: &NetworkName,
    attachment: &Attachment,
    port: &str,
    mac: Mac,
) -> Result<(), FirewallError> {
    Nftables::open()?.allow_only_mac(network, attachment, port, mac)
}

/// Removes an attachment's rules, if there are any, by any backend. Without `addresses`, those of
/// `prevResult` are used.
pub(crate) fn remove(
    call: &Call<'_>,
    attachment: &Attachment,
    addresses: Option<&[IpNetwork]>,
) -> Result<(), Error> {
    let may_masquerade = Masquerading::may_be_wanted(call);
    let previous = match addresses {
        Some(_) => None,
        // A `prevResult` that cannot be decoded counts as absent.
        None => call.conf.prev_result().ok().flatten(),
    };
    let previous_addresses: Vec<IpNetwork> =
        previous.iter().flat_map(AddResult::addresses).collect();
    let previous_addresses = Some(previous_addresses.as_slice())
        .filter(|previous_addresses| !previous_addresses.is_empty());
    Ok(firewall::remove(
        &call.conf.name,
        attachment,
        addresses.or(previous_addresses),
        may_masquerade,
    )?)
}

/// Removes the rules of a network's stale attachments.
pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    let may_masquerade = Masquerading::may_be_wanted(call);
    Ok(firewall::gc(&call.conf.name, valid, may_masquerade)?)
}

/// Checks that an attachment's addresses are masqueraded, by any backend.
pub(crate) fn check_masquerading(
    backend: Backend,
    network: &NetworkName,
    attachment: &Attachment,
    addresses: &[IpNetwork],
) -> Result<(), Error> {
    let missing = firewall::missing_masquerading(backend, network, attachment, addresses)?;
    missing.map_or(Ok(()), |missing| Err(missing.into()))
}

/// Checks that a port accepts one source MAC only, by any backend.
pub(crate) fn check_mac(
    network: &NetworkName,
    attachment: &Attachment,
    port: &str,
    mac: Mac,
) -> Result<(), Error> {
    let missing = firewall::missing_mac_check(network, attachment, port, mac)?;
    missing.map_or(Ok(()), |missing| Err(missing.into()))
}
