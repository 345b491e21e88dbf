//! The node as a router.

use netlink::Family;
use netlink::sysctl;

use crate::error::BridgeError;
use crate::undo::Changes;

const ON: &str = "1";

/// Has the node pass packets of a protocol on.
pub(crate) fn enable(changes: &mut Changes<'_>, family: Family) -> Result<(), BridgeError> {
    let former = sysctl::read(setting(family))?;
    if former != ON {
        sysctl::write(setting(family), ON)?;
        changes.note_shared("switch forwarding off", move || {
            Ok(sysctl::write(setting(family), &former)?)
        });
    }
    Ok(())
}

fn setting(family: Family) -> &'static [&'static str] {
    match family {
        Family::V4 => &["ipv4", "ip_forward"],
        Family::V6 => &["ipv6", "conf", "all", "forwarding"],
    }
}
