//! IPv6 of the links that get gateways' addresses. It may be off for new links
//! (`net.ipv6.conf.default.disable_ipv6`): the plugin switches it on where a gateway's address
//! needs it, on links that it has created. On any other link, the operator is assumed to have
//! disabled IPv6.

use ipnetwork::IpNetwork;
use netlink::sysctl::{self, SysctlError};
use netlink::{Change, Link, LinkChange, LinkKind, Rtnetlink};

use crate::changes::Changes;
use crate::error::BridgeError;
use crate::undo::OnNode;

/// The alias of a bridge that this plugin created while IPv6 was off for new links.
const OWN_BRIDGE: &str = "twill";

const DISABLE: &str = "disable_ipv6";

/// Sets [`OWN_BRIDGE`] on a bridge that this ADD has created, if IPv6 is off there.
pub(crate) fn claim(kernel: &mut Rtnetlink, bridge: &Link) -> Result<(), BridgeError> {
    if !bridge.is_ipv6_off {
        return Ok(());
    }
    let alias = LinkChange {
        alias: Some(OWN_BRIDGE.to_owned()),
        ..LinkChange::default()
    };
    Ok(kernel.apply(&[Change::SetLink {
        link: bridge.index,
        change: alias,
    }])?)
}

/// Switches IPv6 on if a link that gets these addresses needs it.
///
/// # Errors
/// [`BridgeError::Ipv6Off`].
pub(crate) fn enable(
    changes: &mut Changes<'_>,
    link: &Link,
    addresses: &[IpNetwork],
) -> Result<(), BridgeError> {
    let address = addresses.iter().find(|address| address.is_ipv6());
    let Some(address) = address.filter(|_| link.is_ipv6_off) else {
        return Ok(());
    };
    // Another ADD may have created the bridge just now.
    let is_own = is_own(link)
        || changes
            .kernel
            .link_by_index(link.index)?
            .is_some_and(|l| is_own(&l));
    if !is_own {
        return Err(BridgeError::Ipv6Off {
            link: link.name.clone(),
            address: *address,
        });
    }
    write_setting(&link.name, DISABLE, "0")?;
    changes.rollback.record(OnNode::RestoreIpv6Setting {
        link: link.name.clone(),
        setting: DISABLE,
        former: "1".to_owned(),
    });
    Ok(())
}

/// Whether this plugin created the link. A VLAN device is always an operator's.
fn is_own(link: &Link) -> bool {
    match link.kind {
        LinkKind::Bridge { .. } => link.alias.as_deref() == Some(OWN_BRIDGE),
        LinkKind::Veth => true,
        _ => false,
    }
}

/// Writes a setting of IPv6 of a link.
pub(crate) fn write_setting(link: &str, setting: &str, value: &str) -> Result<(), SysctlError> {
    sysctl::write(&["ipv6", "conf", link, setting], value)
}
