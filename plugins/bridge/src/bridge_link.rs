//! The bridge: found or made, and as the configuration wants it.

use netlink::{
    Answer, Change, Kind, Link, LinkChange, Mac, NetlinkError, NewLink, Protocol, Request, Socket,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage,
};

use crate::config::{Config, Vlans};
use crate::error::BridgeError;
use crate::port;
use crate::undo::{Changes, Done};

/// How often it is looked for and made anew while others make and remove it.
const ATTEMPTS: usize = 8;

/// Finds the bridge or makes it.
pub(crate) fn find_or_make(
    changes: &mut Changes<'_>,
    config: &Config,
) -> Result<Link, BridgeError> {
    for _ in 0..ATTEMPTS {
        let link = match changes.kernel.link_by_name(config.bridge.as_str())? {
            Some(link) => adopt(changes, config, link)?,
            None => match make(changes, config) {
                // Another plugin has just made it.
                Err(BridgeError::Kernel(error)) if error.is_exists() => continue,
                made => made?,
            },
        };
        return Ok(link);
    }
    Err(BridgeError::Unsteady(config.bridge.clone()))
}

/// Makes it with a MAC of its own, so that it does not take one of its ports', and set up.
fn make(changes: &mut Changes<'_>, config: &Config) -> Result<Link, BridgeError> {
    let name = config.bridge.as_str();
    let new = NewLink {
        mtu: config.mtu,
        mac: Some(Mac::random()),
        is_up: true,
        ..NewLink::named(name)
    };
    let vlan_filtering = config.vlans.as_ref().map(|_| true);
    let made = changes
        .kernel
        .create(Change::create_bridge(&new, vlan_filtering), name);
    let link = made.map_err(|error| of_vlans(error, config))?;
    changes.set_bridge(link.index);
    changes.note(Done::MadeBridge(link.index));
    if let (Some(vlans), false) = (&config.vlans, filters_vlans(&link.kind)) {
        return Err(no_vlans(vlans, config));
    }
    if config.is_promiscuous {
        let change = LinkChange {
            is_promiscuous: Some(true),
            ..LinkChange::default()
        };
        changes
            .kernel
            .perform(&[Change::change_link(link.index, &change)])?;
    }
    port::ignore_router_advertisements(name);
    Ok(link)
}

/// Has a bridge that is there do what the configuration wants.
fn adopt(changes: &mut Changes<'_>, config: &Config, link: Link) -> Result<Link, BridgeError> {
    if !matches!(link.kind, Kind::Bridge { .. }) {
        return Err(BridgeError::NotABridge {
            name: config.bridge.clone(),
            kind: link.kind,
        });
    }
    changes.set_bridge(link.index);
    if config.vlans.is_some() && !filters_vlans(&link.kind) {
        set_vlan_filtering(link.index, true).map_err(|error| of_vlans(error, config))?;
        changes.note(Done::FilteredVlans(link.index));
    }
    let becomes_up = !link.is_up;
    let becomes_promiscuous = config.is_promiscuous && !link.is_promiscuous;
    let change = LinkChange {
        // One that nobody has given a MAC would take that of its first port, and lose it with the last.
        mac: link.mac.filter(|_| !link.is_operational()),
        is_up: becomes_up.then_some(true),
        is_promiscuous: becomes_promiscuous.then_some(true),
        ..LinkChange::default()
    };
    if change != LinkChange::default() {
        changes
            .kernel
            .perform(&[Change::change_link(link.index, &change)])?;
    }
    if becomes_up || becomes_promiscuous {
        let former = LinkChange {
            is_up: becomes_up.then_some(false),
            is_promiscuous: becomes_promiscuous.then_some(false),
            ..LinkChange::default()
        };
        changes.note(Done::ChangedLink(link.index, former));
    }
    Ok(link)
}

/// Has a bridge heed VLANs, or not.
pub(crate) fn set_vlan_filtering(bridge: u32, filters: bool) -> Result<(), NetlinkError> {
    let data = InfoData::Bridge(vec![InfoBridge::VlanFiltering(filters)]);
    let info = vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(data)];
    let mut message = LinkMessage::default();
    message.header.index = bridge;
    message.attributes.push(LinkAttribute::LinkInfo(info));
    let request = Request {
        what: format!("set VLAN filtering of bridge {bridge}"),
        payload: RouteNetlinkMessage::NewLink(message),
        flags: 0,
        answer: Answer::Acknowledgement,
    };
    let refusals = Socket::open(Protocol::Route)?.exchange(&[&request], |_, _| Ok(()))?;
    match refusals.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(error),
    }
}

/// What a refusal means where VLANs were asked for.
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

fn filters_vlans(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Bridge {
            vlan_filtering: true,
            ..
        }
    )
}
