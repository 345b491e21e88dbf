//! The settings of a port of the bridge.

use netlink::{Change, Link, LinkChange, LinkKind, PortChange, PortVlans, VlanOwner};

use crate::changes::Changes;
use crate::config::{Config, Vlans};
use crate::error::BridgeError;
use crate::router_advertisements;

/// Sets up a port that has just been plugged in.
pub(crate) fn set_up(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: &Link,
    port: &Link,
) -> Result<(), BridgeError> {
    let change = LinkChange {
        port: PortChange {
            // It is off by default.
            hairpin: config.hairpin.then_some(true),
            isolated: config.is_isolated.then_some(true),
            learning: None,
        },
        ..LinkChange::default()
    };
    let mut wanted = Vec::new();
    if !change.port.is_empty() {
        wanted.push(Change::SetLink {
            link: port.index,
            change,
        });
    }
    if let Some(vlans) = &config.vlans {
        wanted.extend(put_into_vlans(vlans, bridge, port));
    }
    changes.kernel.apply(&wanted)?;
    router_advertisements::ignore_on_own(changes, port);
    Ok(())
}

/// Adds a port to its VLANs, and removes it from the bridge's default VLAN.
pub(crate) fn put_into_vlans(vlans: &Vlans, bridge: &Link, port: &Link) -> Vec<Change> {
    if !vlans.is_any() {
        return Vec::new();
    }
    let owner = VlanOwner::Port(port.index);
    let mut changes = Vec::new();
    if let LinkKind::Bridge { default_pvid, .. } = bridge.kind
        && default_pvid != 0
        && !vlans.keeps_default
    {
        changes.push(Change::DeleteVlans {
            owner,
            vlans: vec![PortVlans::access(default_pvid)],
        });
    }
    changes.push(Change::AddVlans {
        owner,
        vlans: members(vlans),
    });
    changes
}

/// The VLANs of a port.
pub(crate) fn members(vlans: &Vlans) -> Vec<PortVlans> {
    let trunk = vlans.trunk.iter().cloned().map(PortVlans::tagged);
    let native = vlans.native.map(PortVlans::access);
    trunk.chain(native).collect()
}
