//! Removing veth pairs. The kernel removes both ends together.

use cni_plugin::{Call, ContainerNetns};
use cni_types::{AddResult, Attachment, Error, ValidAttachments};
use container_link::{LinkAlias, Whose, mac_of, previous_of_del, remove_link, stale_links};
use netlink::{Link, LinkKind, NetlinkError, Rtnetlink};

/// Removes an attachment's veth pair by the node's end, which exists even if the container's
/// namespace is gone. The node's end is found by its alias, or by `prevResult` if the Go plugin
/// created it. If neither finds it, the container's end is looked for.
pub(crate) fn remove(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
) -> Result<(), Error> {
    let alias = LinkAlias::new(&call.conf.name, attachment);
    let mut kernel = Rtnetlink::open()?;
    if remove_by_alias(&mut kernel, &alias)? {
        call.log.debug(format_args!("the pair of links removed"));
        return Ok(());
    }
    if let Some(previous) = previous_of_del(call)
        && remove_of_result(&mut kernel, &alias, &previous)?
    {
        let what = "the pair of links of prevResult removed";
        call.log.debug(format_args!("{what}"));
        return Ok(());
    }
    remove_link(call, attachment, netns, |end| {
        Ok(whose(&mut kernel, &alias, end)?)
    })
}

/// Removes the veth pairs of a network's stale attachments.
pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    let mut kernel = Rtnetlink::open()?;
    let links = kernel.veths()?;
    let stale = stale_links(links, &call.conf.name, valid);
    for link in &stale {
        let name = &link.name;
        call.log.info(format_args!("{name} removed: a stale pair"));
    }
    Ok(remove_links(&mut kernel, &stale)?)
}

/// Removes the pairs that an attachment has from earlier ADDs. The far end of such a pair is in a
/// namespace that only leftover processes keep open.
pub(crate) fn remove_earlier(
    kernel: &mut Rtnetlink,
    alias: &LinkAlias,
    new: &Link,
) -> Result<(), NetlinkError> {
    for name in alias.port_names().take_while(|name| *name != new.name) {
        let earlier = kernel.link_by_name(&name)?;
        if let Some(link) = earlier.filter(|link| has_alias(link, alias)) {
            remove_links(kernel, [&link])?;
        }
    }
    Ok(())
}

/// Removes the links with the alias, and returns whether there were any. All names are looked up:
/// a later name is in use if an earlier one was taken.
fn remove_by_alias(kernel: &mut Rtnetlink, alias: &LinkAlias) -> Result<bool, NetlinkError> {
    let names: Vec<String> = alias.port_names().collect();
    let mut links = kernel.links_by_names(names.iter().map(String::as_str))?;
    links.retain(|link| has_alias(link, alias));
    remove_links(kernel, &links)?;
    Ok(!links.is_empty())
}

fn remove_links<'a>(
    kernel: &mut Rtnetlink,
    links: impl IntoIterator<Item = &'a Link>,
) -> Result<(), NetlinkError> {
    let indexes: Vec<u32> = links.into_iter().map(|link| link.index).collect();
    kernel.remove_links(&indexes)
}

/// Removes the node's end that a result describes, and returns whether it existed.
fn remove_of_result(
    kernel: &mut Rtnetlink,
    alias: &LinkAlias,
    previous: &AddResult,
) -> Result<bool, NetlinkError> {
    let mut is_removed = false;
    for interface in &previous.interfaces {
        let is_on_node = interface.sandbox.is_none();
        let Some(mac) = mac_of(interface).filter(|_| is_on_node) else {
            continue;
        };
        let matches = |link: &Link| {
            link.name == interface.name
                && link.mac == Some(mac)
                && is_pair(link)
                && alias.whose(link) != Whose::Other
                // Both ends of a VLAN gateway's pair are on the node, and other containers use it.
                && link.parent.is_some_and(|end| end.netns.is_some())
        };
        let name = interface.name.as_str();
        if let Some(link) = find(kernel, name)?.filter(matches) {
            remove_links(kernel, [&link])?;
            is_removed = true;
        }
    }
    Ok(is_removed)
}

/// Whose a container's link is, by the alias of its peer.
fn whose(kernel: &mut Rtnetlink, alias: &LinkAlias, end: &Link) -> Result<Whose, NetlinkError> {
    if !is_pair(end) {
        return Ok(Whose::Other);
    }
    let Some(parent) = end.parent else {
        return Ok(Whose::Unknown);
    };
    let port = kernel.link_by_index(parent.index)?;
    let is_its = |port: &Link| is_pair(port) && port.parent.map(|end| end.index) == Some(end.index);
    Ok(port
        .filter(is_its)
        .map_or(Whose::Unknown, |port| alias.whose(&port)))
}

/// A link by a name of `prevResult`, which may be no valid name.
fn find(kernel: &mut Rtnetlink, name: &str) -> Result<Option<Link>, NetlinkError> {
    match kernel.link_by_name(name) {
        Err(error) if error.is_refused() => Ok(None),
        found => found,
    }
}

fn has_alias(link: &Link, alias: &LinkAlias) -> bool {
    is_pair(link) && alias.whose(link) == Whose::Own
}

fn is_pair(link: &Link) -> bool {
    link.kind == LinkKind::Veth
}
