//! Which links the node heeds router advertisements on (RFC 4861): those of its own uplinks, and
//! never those of a link that containers can send on, where any of them could become the node's
//! default route (CVE-2020-10749).

use netlink::{Link, Rtnetlink};

use crate::changes::Changes;
use crate::error::BridgeError;
use crate::ipv6;
use crate::undo::OnNode;

const ACCEPT_RA: &str = "accept_ra";

/// `accept_ra`: not at all; as long as the link does not forward; always.
const NEVER: &str = "0";
const UNLESS_FORWARDING: i32 = 1;
const ALWAYS: &str = "2";

/// Has the node ignore router advertisements on a link that this ADD has made.
pub(crate) fn ignore_on_own(changes: &Changes<'_>, link: &Link) {
    ignore(changes, link);
}

/// Has the node ignore router advertisements on a link that was there before.
pub(crate) fn ignore_on(changes: &mut Changes<'_>, link: &Link) {
    let Some(former) = ignore(changes, link) else {
        return;
    };
    changes.rollback.record(OnNode::RestoreIpv6Setting {
        link: link.name.clone(),
        setting: ACCEPT_RA,
        former: former.to_string(),
    });
}

/// Returns what the setting was, if it was changed. An ADD does not fail for it: what cannot be
/// changed is in the log.
fn ignore(changes: &Changes<'_>, link: &Link) -> Option<i32> {
    let former = link.accept_ra.filter(|former| *former != 0)?;
    match ipv6::write_setting(&link.name, ACCEPT_RA, NEVER) {
        Ok(()) => Some(former),
        Err(error) => {
            changes.log.error(format_args!(
                "the node still heeds router advertisements on {}: {error}",
                link.name
            ));
            None
        }
    }
}

/// A node that starts to forward ignores router advertisements from then on, and loses the routes
/// and addresses that it got by them, unless it is told to heed them always. This is done for the
/// links that it has such from.
pub(crate) fn keep_heeding(kernel: &mut Rtnetlink) -> Result<(), BridgeError> {
    for index in kernel.advertised_links()? {
        if let Some(link) = kernel.link_by_index(index)?
            && link.accept_ra == Some(UNLESS_FORWARDING)
        {
            ipv6::write_setting(&link.name, ACCEPT_RA, ALWAYS)?;
        }
    }
    Ok(())
}
