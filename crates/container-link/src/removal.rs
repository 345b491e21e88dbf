//! Removing an attachment's link from its container, if the link found there is the attachment's.

use cni_plugin::{Call, ContainerNetns};
use cni_types::{AddResult, Attachment, Error, Interface};
use netlink::{Link, LinkKind, Mac, Rtnetlink};

use crate::{Sandbox, Whose};

/// Removes the link that has the attachment's interface name in its container. The link stays if
/// `whose` or the call's `prevResult` shows that it belongs to another attachment: the path of the
/// namespace may lead to another container by now.
///
/// # Errors
/// If the namespace cannot be used, or the kernel refuses.
pub fn remove_link(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
    whose: impl FnOnce(&Link) -> Result<Whose, Error>,
) -> Result<(), Error> {
    let Some((_, mut inside)) = Sandbox::open_if_any(netns)? else {
        call.log
            .debug(format_args!("the container has no namespace any more"));
        return Ok(());
    };
    let name = attachment.ifname.as_str();
    // The kernel also finds a link by its alternative names.
    let link = inside.link_by_name(name)?;
    let Some(link) = link.filter(|link| link.name == name) else {
        call.log.debug(format_args!("there is no link {name}"));
        return Ok(());
    };
    let is_own = match whose(&link)? {
        Whose::Own => true,
        Whose::Other => false,
        Whose::Unknown => previous_of_del(call)
            .is_none_or(|previous| agrees(&previous, attachment, &link, &mut inside)),
    };
    if !is_own {
        let kind = link.kind.name();
        call.log.info(format_args!(
            "link {name} of kind {kind} is left alone: it is not this attachment's"
        ));
        return Ok(());
    }
    inside.remove_links(&[link.index])?;
    call.log.debug(format_args!("link {name} removed"));
    Ok(())
}

/// The `prevResult` of a DEL; `None` also if it cannot be decoded, which the log then says.
pub fn previous_of_del(call: &Call<'_>) -> Option<AddResult> {
    match call.conf.prev_result() {
        Ok(previous) => previous,
        Err(error) => {
            call.log.info(format_args!("passed over: {error}"));
            None
        }
    }
}

/// The Ethernet address of an interface in a result.
pub fn mac_of(interface: &Interface) -> Option<Mac> {
    interface.mac.as_deref()?.parse().ok()
}

/// Whether a link can be the one that a result describes.
fn agrees(
    previous: &AddResult,
    attachment: &Attachment,
    link: &Link,
    inside: &mut Rtnetlink,
) -> bool {
    let matches = |(_, interface): &(u32, &Interface)| {
        interface.name == attachment.ifname.as_str() && interface.sandbox.is_some()
    };
    let Some((position, interface)) = (0..).zip(&previous.interfaces).find(matches) else {
        return true;
    };
    let has_other_mac = mac_of(interface).is_some_and(|mac| link.mac != Some(mac));
    // All ipvlans of a master have the master's Ethernet address, so their addresses are compared.
    !has_other_mac
        && (!matches!(link.kind, LinkKind::Ipvlan(_))
            || has_address(previous, position, link, inside))
}

/// Whether a link has one of the addresses that a result gives it; true if the result gives none.
fn has_address(previous: &AddResult, position: u32, link: &Link, inside: &mut Rtnetlink) -> bool {
    let Ok(found) = inside.addresses(link.index, None) else {
        return true;
    };
    let mut own = previous
        .ips
        .iter()
        .filter(|ip| ip.interface.is_none_or(|interface| interface == position))
        .peekable();
    own.peek().is_none() || own.any(|ip| found.iter().any(|found| found.network == ip.address))
}
