//! The node as a router.

use netlink::Family;
use netlink::sysctl::{self, SysctlError};

use crate::error::BridgeError;
use crate::undo::{Changes, Done};

const ON: &str = "1";

/// Has the node pass packets of a protocol on.
pub(crate) fn enable(changes: &mut Changes<'_>, family: Family) -> Result<(), BridgeError> {
    let former = sysctl::read(setting(family))?;
    if former != ON {
        set(family, ON)?;
        changes.note(Done::SwitchedForwarding(family, former));
    }
    Ok(())
}

pub(crate) fn set(family: Family, value: &str) -> Result<(), SysctlError> {
    sysctl::write(setting(family), value)
}

fn setting(family: Family) -> &'static [&'static str] {
    match family {
        Family::V4 => &["ipv4", "ip_forward"],
        Family::V6 => &["ipv6", "conf", "all", "forwarding"],
    }
}
