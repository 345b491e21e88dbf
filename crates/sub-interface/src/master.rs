//! The master: finding it, and checking that it allows the configuration.

use netlink::{Family, Link, LinkKind, MacvlanMode, NetlinkError, Rtnetlink, SubInterface};

use crate::config::{Config, MasterChoice};
use crate::error::{ConfigError, MasterError, Whereabouts};

/// Finds the master in the socket's namespace.
pub(crate) fn find(config: &Config, rtnetlink: &mut Rtnetlink) -> Result<Link, MasterError> {
    let place = if config.link_in_container {
        Whereabouts::Container
    } else {
        Whereabouts::Node
    };
    match &config.master {
        MasterChoice::Named(name) => {
            rtnetlink
                .link_by_name(name.as_str())?
                .ok_or_else(|| MasterError::Missing {
                    name: name.clone(),
                    place,
                })
        }
        MasterChoice::DefaultRoute => {
            let index = default_device(rtnetlink)?;
            let index = index.ok_or(MasterError::NoDefaultRoute(place))?;
            let link = rtnetlink.link_by_index(index)?;
            link.ok_or(MasterError::NoDefaultRoute(place))
        }
    }
}

/// The index of the default route's link; IPv4's if both families have one.
fn default_device(rtnetlink: &mut Rtnetlink) -> Result<Option<u32>, NetlinkError> {
    for family in [Family::V4, Family::V6] {
        match rtnetlink.default_route(family) {
            Ok(Some(route)) if route.link.is_some() => return Ok(route.link),
            Ok(_) => {}
            // A kernel without IPv6 has no IPv6 routes.
            Err(error) if error.is_unsupported() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Refuses an MTU or a MAC that the master does not allow.
pub(crate) fn fits(config: &Config, master: &Link) -> Result<(), ConfigError> {
    if let Some(mtu) = config.mtu.filter(|mtu| *mtu > master.mtu) {
        return Err(ConfigError::MtuOfMaster {
            mtu,
            master: master.name.clone(),
            limit: master.mtu,
        });
    }
    let is_passthru = config.kind == SubInterface::Macvlan(MacvlanMode::Passthru);
    if let Some(mac) = config
        .mac
        .filter(|mac| is_passthru && master.mac != Some(*mac))
    {
        return Err(ConfigError::MacOfMaster {
            mac,
            master: master.name.clone(),
            own: master.mac,
        });
    }
    Ok(())
}

/// The indexes of the links that can be the parent of a sub-interface of this master: the master
/// itself and, if the master is a sub-interface, its parent, to which the kernel attaches a
/// sub-interface of a sub-interface.
pub(crate) fn wires(master: &Link) -> impl Iterator<Item = u32> {
    let is_sub_interface = match &master.kind {
        LinkKind::Ipvlan(_) | LinkKind::Macvlan(_) => true,
        LinkKind::Other(kind) => matches!(kind.as_str(), "ipvtap" | "macvtap"),
        _ => false,
    };
    let below = master.parent.filter(|_| is_sub_interface);
    [Some(master.index), below.map(|parent| parent.index)]
        .into_iter()
        .flatten()
}
