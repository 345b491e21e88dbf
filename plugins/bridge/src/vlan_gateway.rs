//! The link that has the gateways' addresses in a VLAN: the far end of a pair whose port is in it. It stays for others, as
//! the bridge does.

use cni_types::IfName;
use netlink::{Change, Kind, Link, LinkChange, LinkRef, Mac, Netns};

use crate::config::{Config, Vlans};
use crate::error::BridgeError;
use crate::pair::{self, FarEnd};
use crate::port;
use crate::undo::{Changes, put_back};

/// How often it is looked for and made anew while others make and remove it.
const ATTEMPTS: usize = 8;

/// Finds the link or makes it.
pub(crate) fn find_or_make(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: &Link,
    name: &IfName,
    home: &Netns,
) -> Result<Link, BridgeError> {
    for _ in 0..ATTEMPTS {
        match changes.kernel.link_by_name(name.as_str())? {
            Some(link) => return adopt(changes, name, link),
            None => match make(changes, config, bridge, name, home) {
                // Another plugin has just made it.
                Err(BridgeError::IfnameTaken(_)) => {}
                made => return made,
            },
        }
    }
    Err(BridgeError::Unsteady(name.clone()))
}

fn adopt(changes: &mut Changes<'_>, name: &IfName, link: Link) -> Result<Link, BridgeError> {
    if link.kind != Kind::Veth {
        return Err(BridgeError::NotAVlanGateway {
            name: name.clone(),
            kind: link.kind,
        });
    }
    if let Some(port) = link.parent {
        changes.ports.add_own(port.index);
    }
    if link.is_up {
        return Ok(link);
    }
    let link = set_up(changes, link.index)?;
    let index = link.index;
    changes.note_shared("set the gateway's link down", move || {
        put_back(&[Change::change_link(index, &LinkChange::up(false))])
    });
    Ok(link)
}

fn make(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: &Link,
    name: &IfName,
    home: &Netns,
) -> Result<Link, BridgeError> {
    let end = FarEnd {
        name,
        netns: home,
        mac: Mac::random(),
        mtu: Some(bridge.mtu),
    };
    let mut inside = netlink::Rtnetlink::open()?;
    let port = pair::make(changes, bridge, end, &mut inside)?;
    changes.ports.add_own(port.index);
    let index = port.index;
    changes.note_shared("remove the gateway's link", move || {
        put_back(&[Change::delete_link(index)])
    });
    port::ignore_router_advertisements(&port.name);
    if let Some(vlans) = &config.vlans {
        let vlans = Vlans {
            trunk: Vec::new(),
            ..vlans.clone()
        };
        let membership = port::put_into_vlans(&vlans, bridge, &port);
        changes.kernel.perform(&membership)?;
    }
    let index = port.parent.map_or(0, |end| end.index);
    set_up(changes, index)
}

fn set_up(changes: &mut Changes<'_>, index: u32) -> Result<Link, BridgeError> {
    let up = Change::change_link(index, &LinkChange::up(true));
    Ok(changes
        .kernel
        .perform_and_read(&[up], LinkRef::Index(index))?)
}
