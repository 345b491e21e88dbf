//! CHECK of the sub-interface.

use cni_plugin::{Call, Command, ContainerNetns};
use cni_types::{Attachment, Code, Error};
use container_link::{CheckError, Ipam, Sandbox, check as compare};
use netlink::{Link, LinkKind, Rtnetlink, SubInterface};

use crate::config::{Addresses, Config, MasterChoice};
use crate::master;

/// Compares the link, its addresses and its routes with the result of ADD.
pub(crate) fn check(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
    config: &Config,
) -> Result<(), Error> {
    let previous = call.conf.required_prev_result()?;
    let (_, mut inside) = Sandbox::open(netns)?;
    if let Addresses::Ipam(plugin_type) = &config.addresses {
        let ipam = Ipam::find(call, plugin_type.clone())?;
        ipam.start(Command::Check)?.run()?;
    }
    let ifname = attachment.ifname.as_str();
    let (position, interface) = compare::interface_of(&previous, ifname, Some(netns.path()))?;
    let link = compare::link(&mut inside, interface)?;
    compare::up(&link)?;
    is_of_kind(&link, config.kind)?;
    if matches!(config.master, MasterChoice::Named(_)) {
        is_on_master(&link, config, &mut inside)?;
    }
    compare::addresses_and_routes(&mut inside, &link, &previous, position)
}

fn is_on_master(link: &Link, config: &Config, inside: &mut Rtnetlink) -> Result<(), Error> {
    let mut outside;
    let home = if config.link_in_container {
        inside
    } else {
        outside = Rtnetlink::open()?;
        &mut outside
    };
    let master = master::find(config, home).map_err(|error| Error {
        code: Code::CHECK_FAILED,
        ..error.into()
    })?;
    let parent = link.parent.map(|parent| parent.index);
    if parent.is_some_and(|parent| master::wires(&master).any(|wire| wire == parent)) {
        return Ok(());
    }
    let found = compare::name_of(home, parent)?;
    Err(CheckError::differs("master", link, found, &master.name).into())
}

fn is_of_kind(link: &Link, expected: SubInterface) -> Result<(), CheckError> {
    if link.kind == expected.kind() {
        return Ok(());
    }
    let (what, found, expected) = match &link.kind {
        LinkKind::Ipvlan(Some(mode)) if matches!(expected, SubInterface::Ipvlan(_)) => {
            ("mode", mode.as_str(), expected.mode_name())
        }
        LinkKind::Macvlan(Some(mode)) if matches!(expected, SubInterface::Macvlan(_)) => {
            ("mode", mode.as_str(), expected.mode_name())
        }
        other => ("kind", other.name(), expected.kind_name()),
    };
    Err(CheckError::differs(what, link, found, expected))
}
