//! Router advertisements (RFC 4861): accepted on the node's uplinks, ignored on links that
//! containers can send on, where any container could become the node's default router
//! (CVE-2020-10749).

use netlink::{Link, Rtnetlink};

use crate::changes::Changes;
use crate::error::BridgeError;
use crate::ipv6;
use crate::undo::OnNode;

const ACCEPT_RA: &str = "accept_ra";

/// Values of `accept_ra`: never; unless the link forwards; always.
const NEVER: &str = "0";
const UNLESS_FORWARDING: i32 = 1;
const ALWAYS: &str = "2";

/// Ignores router advertisements on a link that this ADD has created.
pub(crate) fn ignore_on_own(changes: &Changes<'_>, link: &Link) {
    ignore(changes, link);
}

/// Ignores router advertisements on a link that existed before.
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

/// Returns the former value if it was changed. A failure is logged and does not fail the ADD.
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
/// and addresses from them, unless `accept_ra` is 2. This sets it on the links with such routes or
/// addresses.
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
