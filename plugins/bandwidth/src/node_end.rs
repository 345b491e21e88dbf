//! The node's end of a container's veth pair.

use cni_plugin::ContainerNetns;
use cni_types::{AddResult, Attachment, Error};
use container_link::Sandbox;
use netlink::{Link, LinkKind, Rtnetlink};

use crate::error::{BandwidthError, ConfigError};

/// Finds the node's end by the container's: each knows the other's index. The result may list
/// the attachment's ifb, by this name.
///
/// # Errors
/// Code 4 if the container has no such interface, 7 if it has no end on the node, 8 for the
/// namespace.
pub(crate) fn find(
    attachment: &Attachment,
    netns: &ContainerNetns,
    previous: &AddResult,
    ifb: &str,
    kernel: &mut Rtnetlink,
) -> Result<Link, Error> {
    let ifname = &attachment.ifname;
    let (_, mut inside) = Sandbox::open(netns)?;
    let Some(inner) = inside.link_by_name(ifname.as_str())? else {
        return Err(BandwidthError::NoInterface(ifname.clone()).into());
    };
    let elsewhere = || ConfigError::EndElsewhere {
        ifname: ifname.clone(),
    };
    let peer = match (&inner.kind, inner.parent) {
        (LinkKind::Veth, Some(peer)) if peer.netns.is_some() => peer.index,
        (LinkKind::Veth, _) => return Err(elsewhere().into()),
        (kind, _) => {
            let kind = kind.name().to_owned();
            let ifname = ifname.clone();
            return Err(ConfigError::NotAVeth { ifname, kind }.into());
        }
    };
    let outer = kernel.link_by_index(peer).map_err(BandwidthError::from)?;
    // The other end may be in a third namespace, and a link of another pair may have its index
    // here.
    let is_other_end = |outer: &Link| {
        is_end(outer)
            && outer.parent.map(|end| end.index) == Some(inner.index)
            && is_in_result(outer, previous, ifb)
    };
    Ok(outer.filter(is_other_end).ok_or_else(elsewhere)?)
}

/// Whether a link on the node can be the end of a pair whose other end is in a container.
pub(crate) fn is_end(link: &Link) -> bool {
    link.kind == LinkKind::Veth && link.parent.is_some_and(|end| end.netns.is_some())
}

/// Whether a result contains the link, or no links of other plugins on the node, as before version
/// 0.3.0.
fn is_in_result(link: &Link, previous: &AddResult, ifb: &str) -> bool {
    let interfaces = previous.interfaces.iter();
    let mut on_node = interfaces
        .filter(|interface| interface.sandbox.is_none() && interface.name != ifb)
        .peekable();
    on_node.peek().is_none() || on_node.any(|interface| interface.name == link.name)
}
