//! The bridge: finding or creating it, and its settings.

use cni_types::IfName;
use netlink::{Change, Link, LinkChange, LinkKind, Mac, NetlinkError, NewLink};

use crate::changes::Changes;
use crate::config::{Config, Vlans};
use crate::error::BridgeError;
use crate::pair::PORT_MAC_START;
use crate::undo::OnNode;
use crate::{ipv6, router_advertisements};

/// Attempts to find or create the bridge while others create and remove it.
const ATTEMPTS: usize = 8;

/// Finds the bridge or creates it.
pub(crate) fn find_or_make(
    changes: &mut Changes<'_>,
    config: &Config,
) -> Result<Link, BridgeError> {
    for _ in 0..ATTEMPTS {
        if let Some(link) = changes.kernel.link_by_name(config.bridge.as_str())? {
            return adopt(changes, config, link);
        }
        if let Some(link) = make(changes, config)? {
            return Ok(link);
        }
    }
    Err(BridgeError::Unsteady(config.bridge.to_string()))
}

/// The bridge with its MAC after a container's port is plugged in.
///
/// A bridge without a MAC of its own has the lowest MAC of its ports. The new port can only have
/// changed it if nothing was plugged in before, or only ports of containers: their MACs start with
/// the highest byte.
pub(crate) fn with_final_mac(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: Link,
) -> Result<Link, BridgeError> {
    let is_of_port = |Mac([first, ..])| first == PORT_MAC_START;
    let follows_ports = !bridge.is_operational() || bridge.mac.is_some_and(is_of_port);
    if config.gives_bridge_addresses() || !follows_ports {
        return Ok(bridge);
    }
    let now = changes.kernel.link_by_index(bridge.index)?;
    now.ok_or_else(|| BridgeError::Unsteady(config.bridge.to_string()))
}

/// Creates the bridge with a MAC of its own, so that it does not follow its ports', and sets it up.
/// `None` if another process has just created it.
fn make(changes: &mut Changes<'_>, config: &Config) -> Result<Option<Link>, BridgeError> {
    let name = name_of_new(config)?;
    let name = name.as_str();
    let new = NewLink {
        mtu: config.mtu,
        mac: Some(Mac::random()),
        is_up: true,
        ..NewLink::named(name)
    };
    let vlan_filtering = config.vlans.as_ref().map(|_| true);
    let made = changes.kernel.create_bridge(&new, vlan_filtering);
    let link = match made {
        Err(error) if error.is_exists() => return Ok(None),
        made => made.map_err(|error| of_vlans(error, config))?,
    };
    let index = link.index;
    changes.ports.set_bridge(index);
    changes
        .rollback
        .record(OnNode::RemoveBridge { bridge: index });
    if let (Some(vlans), false) = (&config.vlans, filters_vlans(&link.kind)) {
        return Err(no_vlans(vlans, config));
    }
    if config.is_promiscuous {
        let change = LinkChange {
            is_promiscuous: Some(true),
            ..LinkChange::default()
        };
        changes.kernel.apply(&[Change::SetLink {
            link: link.index,
            change,
        }])?;
    }
    router_advertisements::ignore_on_own(changes, &link);
    ipv6::claim(&mut changes.kernel, &link)?;
    Ok(Some(link))
}

/// The name for creating the bridge. An alternative name can only be that of an existing bridge.
///
/// # Errors
/// [`BridgeError::NotMade`].
pub(crate) fn name_of_new(config: &Config) -> Result<IfName, BridgeError> {
    let name = config.bridge.as_str().parse();
    name.map_err(BridgeError::NotMade)
}

/// Applies the configuration to an existing bridge.
fn adopt(changes: &mut Changes<'_>, config: &Config, mut link: Link) -> Result<Link, BridgeError> {
    if !matches!(link.kind, LinkKind::Bridge { .. }) {
        return Err(BridgeError::NotABridge {
            name: config.bridge.clone(),
            kind: link.kind,
        });
    }
    let index = link.index;
    changes.ports.set_bridge(index);
    let becomes_up = !link.is_up;
    let becomes_promiscuous = config.is_promiscuous && !link.is_promiscuous;
    let becomes_filtering = config.vlans.is_some() && !filters_vlans(&link.kind);
    if becomes_filtering {
        refuse_to_filter_for_others(changes, config, index)?;
    }
    let gets_addresses = config.gives_bridge_addresses();
    if gets_addresses {
        router_advertisements::ignore_on(changes, &link);
    }
    let turn = |on: bool| LinkChange {
        is_up: becomes_up.then_some(on),
        is_promiscuous: becomes_promiscuous.then_some(on),
        vlan_filtering: becomes_filtering.then_some(on),
        ..LinkChange::default()
    };
    let former = turn(false);
    if former != LinkChange::default() {
        // The kernel may have applied a part of a refused change.
        changes.rollback.record(OnNode::RestoreBridge {
            bridge: index,
            former,
        });
    }
    // A bridge whose MAC was never set follows a port's, such as its uplink's, and loses it with
    // the last port. As a gateway it keeps its MAC, because hosts remember it.
    let own_mac = (gets_addresses && !link.is_operational()).then(|| match link.mac {
        Some(mac) if mac != Mac::NONE => mac,
        _ => Mac::random(),
    });
    link.mac = own_mac.or(link.mac);
    let change = LinkChange {
        mac: own_mac,
        ..turn(true)
    };
    if change != LinkChange::default() {
        let change = Change::SetLink {
            link: index,
            change,
        };
        let changed = changes.kernel.apply(&[change]);
        changed.map_err(|error| of_vlans(error, config))?;
    }
    Ok(link)
}

/// A bridge that begins to filter drops the tagged frames of each port that is not a member of
/// their VLAN.
fn refuse_to_filter_for_others(
    changes: &mut Changes<'_>,
    config: &Config,
    bridge: u32,
) -> Result<(), BridgeError> {
    let Some(vlans) = &config.vlans else {
        return Ok(());
    };
    // The same holds for VLAN devices on the bridge, except the one that this ADD will use.
    let is_on_bridge = |link: &Link| {
        let is_vlan = matches!(link.kind, LinkKind::Vlan(id) if id.is_none() || id != vlans.access);
        is_vlan
            && link
                .parent
                .is_some_and(|parent| parent.index == bridge && parent.netns.is_none())
    };
    if changes.has_others()? || changes.kernel.links()?.iter().any(is_on_bridge) {
        return Err(BridgeError::WouldFilter {
            asked_by: vlans.asked_by.clone(),
            bridge: config.bridge.clone(),
        });
    }
    Ok(())
}

/// The error for a refusal of VLAN filtering.
fn of_vlans(error: NetlinkError, config: &Config) -> BridgeError {
    match &config.vlans {
        Some(vlans) if error.is_unsupported() => no_vlans(vlans, config),
        _ => error.into(),
    }
}

fn no_vlans(vlans: &Vlans, config: &Config) -> BridgeError {
    BridgeError::NoVlans {
        asked_by: vlans.asked_by.clone(),
        bridge: config.bridge.clone(),
    }
}

fn filters_vlans(kind: &LinkKind) -> bool {
    matches!(
        kind,
        LinkKind::Bridge {
            vlan_filtering: true,
            ..
        }
    )
}
