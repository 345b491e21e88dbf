//! Finding the master.

use netlink::{Child, Family, Kind, Link, MacvlanMode, NetlinkError, Rtnetlink};

use super::conf::{ChildConf, MasterChoice};
use super::error::{ConfError, MasterError, Place};

/// The master, in the namespace that the socket is of.
pub(super) fn find(conf: &ChildConf, rtnetlink: &mut Rtnetlink) -> Result<Link, MasterError> {
    let place = if conf.link_in_container {
        Place::Container
    } else {
        Place::Node
    };
    let kernel = |error: NetlinkError| MasterError::Kernel(error.into());
    match &conf.master {
        MasterChoice::Named(name) => rtnetlink
            .link_by_name(name.as_str())
            .map_err(kernel)?
            .ok_or_else(|| MasterError::Missing {
                name: name.clone(),
                place,
            }),
        MasterChoice::DefaultRoute => {
            let index = default_device(rtnetlink).map_err(kernel)?;
            let index = index.ok_or(MasterError::NoDefaultRoute(place))?;
            let link = rtnetlink.link_by_index(index).map_err(kernel)?;
            link.ok_or(MasterError::NoDefaultRoute(place))
        }
    }
}

/// The device of the default route; IPv4's if there are two.
fn default_device(rtnetlink: &mut Rtnetlink) -> Result<Option<u32>, NetlinkError> {
    for family in [Family::V4, Family::V6] {
        match rtnetlink.default_route(family) {
            Ok(Some(route)) if route.link.is_some() => return Ok(route.link),
            Ok(_) => {}
            // A kernel without IPv6 has no routes of it.
            Err(error) if error.is_unsupported() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Refuses what this master cannot give.
pub(super) fn fits(conf: &ChildConf, master: &Link) -> Result<(), ConfError> {
    if let Some(mtu) = conf.mtu.filter(|mtu| *mtu > master.mtu) {
        return Err(ConfError::MtuOfMaster {
            mtu,
            master: master.name.clone(),
            limit: master.mtu,
        });
    }
    let is_passthru = conf.child == Child::Macvlan(MacvlanMode::Passthru);
    if let Some(mac) = conf
        .mac
        .filter(|mac| is_passthru && master.mac != Some(*mac))
    {
        return Err(ConfError::MacOfMaster {
            mac,
            master: master.name.clone(),
            own: master.mac,
        });
    }
    Ok(())
}

/// The indexes of the links that a child of this master can be on: the master's own and, where the
/// master is a child itself, the one that it is on, as the kernel puts a child of a child there.
pub(super) fn wires(master: &Link) -> impl Iterator<Item = u32> {
    let is_child = match &master.kind {
        Kind::Ipvlan(_) | Kind::Macvlan(_) => true,
        Kind::Other(kind) => matches!(kind.as_str(), "ipvtap" | "macvtap"),
        _ => false,
    };
    let below = master.parent.filter(|_| is_child);
    [Some(master.index), below.map(|parent| parent.index)]
        .into_iter()
        .flatten()
}
