//! The node as a router.
//!
//! What is switched on here is the whole node's, and others rely on it from then on: nothing of it
//! is ever undone. So it comes when nothing but the gateway's addresses can fail any more.

use netlink::sysctl;
use netlink::{Family, Link, Rtnetlink};

use crate::error::BridgeError;
use crate::router_advertisements;

const OFF: &str = "0";
const ON: &str = "1";

/// Has the node pass on packets of a protocol that come in by `gateway`, the link with the
/// gateways' addresses.
///
/// IPv4 looks at the setting of that link, which the node's overwrites when it is switched on, and
/// never again.
pub(crate) fn enable(
    kernel: &mut Rtnetlink,
    family: Family,
    gateway: &Link,
) -> Result<(), BridgeError> {
    if sysctl::read(setting(family))? != OFF {
        if family == Family::V4 && gateway.is_ipv4_forwarding_off {
            sysctl::write(&["ipv4", "conf", &gateway.name, "forwarding"], ON)?;
        }
        return Ok(());
    }
    if family == Family::V6 {
        router_advertisements::keep_heeding(kernel)?;
    }
    Ok(sysctl::write(setting(family), ON)?)
}

fn setting(family: Family) -> &'static [&'static str] {
    match family {
        Family::V4 => &["ipv4", "ip_forward"],
        Family::V6 => &["ipv6", "conf", "all", "forwarding"],
    }
}
