//! Switches on IP forwarding.
//!
//! Forwarding is node-wide and never switched off again, because other programs may rely on it. So
//! it is the last step of an ADD but for replacing gateway addresses.

use netlink::sysctl;
use netlink::{Family, Link, Rtnetlink};

use crate::error::BridgeError;
use crate::router_advertisements;

const OFF: &str = "0";
const ON: &str = "1";

/// Switches on forwarding of packets of a protocol that come in by `gateway`, the link with the
/// gateways' addresses.
///
/// For IPv4 the kernel checks `conf.<link>.forwarding`. Writing `ip_forward` sets it on all links
/// once; a later change of the link's value stays.
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
