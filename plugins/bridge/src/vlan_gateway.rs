//! The link that has the gateways' addresses in a VLAN: the far end of a veth pair whose port is a
//! member, or a VLAN device on the bridge that an operator has created. Like the bridge, it stays
//! for other containers.

use cni_types::IfName;
use netlink::{
    Change, Link, LinkChange, LinkKind, LinkRef, Mac, Netns, PortVlans, Rtnetlink, Veth, VlanOwner,
};

use crate::changes::Changes;
use crate::config::{Config, Vlans};
use crate::error::BridgeError;
use crate::pair::{self, FarEnd};
use crate::undo::OnNode;
use crate::{port, router_advertisements};

/// Attempts to find or create the link while others create and remove it.
const ATTEMPTS: usize = 8;

/// The name of the link, and its VLAN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a IfName,
    pub(crate) vlan: u16,
}

/// Finds the link or creates it.
pub(crate) fn find_or_make(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: &Link,
    wanted: Wanted<'_>,
    home: &Netns,
) -> Result<Link, BridgeError> {
    for _ in 0..ATTEMPTS {
        match changes.kernel.link_by_name(wanted.name.as_str())? {
            Some(link) => return adopt(changes, config, bridge, wanted, link),
            None => match make(changes, config, bridge, wanted.name, home) {
                // Another process has just created it.
                Err(BridgeError::IfnameTaken(_)) => {}
                made => return made,
            },
        }
    }
    Err(BridgeError::Unsteady(wanted.name.to_string()))
}

fn adopt(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: &Link,
    wanted: Wanted<'_>,
    link: Link,
) -> Result<Link, BridgeError> {
    let is_usable = match link.kind {
        LinkKind::Veth => adopt_port(changes, config, bridge, &link)?,
        LinkKind::Vlan(vlan) if vlan == Some(wanted.vlan) && is_on(&link, bridge) => {
            let_in(changes, bridge, wanted.vlan)?;
            true
        }
        _ => false,
    };
    if !is_usable {
        return Err(BridgeError::NotAVlanGateway {
            name: wanted.name.clone(),
            kind: link.kind,
            bridge: config.bridge.clone(),
            vlan: wanted.vlan,
        });
    }
    router_advertisements::ignore_on(changes, &link);
    if link.is_up {
        return Ok(link);
    }
    let link = set_up(changes, link.index)?;
    changes
        .rollback
        .record(OnNode::SetVlanGatewayDown { link: link.index });
    Ok(link)
}

fn is_on(link: &Link, bridge: &Link) -> bool {
    let is_bridge =
        |parent: netlink::Parent| parent.index == bridge.index && parent.netns.is_none();
    link.parent.is_some_and(is_bridge)
}

/// Whether the other end of a pair is a port of the bridge. If an earlier bridge of the same name
/// was removed, which leaves the pair, the end is plugged in again.
fn adopt_port(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: &Link,
    link: &Link,
) -> Result<bool, BridgeError> {
    let Some(parent) = link.parent.filter(|parent| parent.netns.is_none()) else {
        return Ok(false);
    };
    let Some(port) = changes.kernel.link_by_index(parent.index)? else {
        return Ok(false);
    };
    changes.ports.add_own(port.index);
    match port.master {
        Some(master) => Ok(master == bridge.index),
        None => {
            let plug_in = LinkChange {
                master: Some(bridge.index),
                ..LinkChange::up(true)
            };
            let mut plugged_in = vec![Change::SetLink {
                link: port.index,
                change: plug_in,
            }];
            plugged_in.extend(membership(config, bridge, &port));
            changes.kernel.apply(&plugged_in)?;
            Ok(true)
        }
    }
}

/// Makes a bridge a member of a VLAN, so that its VLAN device gets the frames.
fn let_in(changes: &mut Changes<'_>, bridge: &Link, vlan: u16) -> Result<(), BridgeError> {
    let own = changes.kernel.vlans(bridge.index)?;
    if own.iter().any(|own| own.ids.contains(&vlan)) {
        return Ok(());
    }
    let owner = VlanOwner::Bridge(bridge.index);
    let vlans = vec![PortVlans::tagged(vlan..=vlan)];
    changes.kernel.apply(&[Change::AddVlans { owner, vlans }])?;
    changes.rollback.record(OnNode::LeaveVlan {
        bridge: bridge.index,
        vlan,
    });
    Ok(())
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
    let mut inside = Rtnetlink::open()?;
    let Veth { port, peer } = pair::make(changes, bridge, end, &mut inside)?;
    changes.ports.add_own(port.index);
    changes
        .rollback
        .record(OnNode::RemoveVlanGateway { port: port.index });
    let membership = membership(config, bridge, &port);
    changes.kernel.apply(&membership)?;
    let link = changes
        .kernel
        .apply_and_read(&[], LinkRef::Index(peer.index))?;
    router_advertisements::ignore_on_own(changes, &port);
    // Before it is set up, because containers in the VLAN may send already.
    router_advertisements::ignore_on_own(changes, &link);
    set_up(changes, link.index)
}

/// The change that makes the port of a pair a member of the VLAN.
fn membership(config: &Config, bridge: &Link, port: &Link) -> Vec<Change> {
    let Some(vlans) = &config.vlans else {
        return Vec::new();
    };
    let vlans = Vlans {
        trunk: Vec::new(),
        ..vlans.clone()
    };
    port::put_into_vlans(&vlans, bridge, port)
}

fn set_up(changes: &mut Changes<'_>, index: u32) -> Result<Link, BridgeError> {
    let up = Change::SetLink {
        link: index,
        change: LinkChange::up(true),
    };
    Ok(changes
        .kernel
        .apply_and_read(&[up], LinkRef::Index(index))?)
}
