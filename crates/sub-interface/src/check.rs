//! What comes after ADD: CHECK, DEL, GC, STATUS.

use cni_plugin::{Call, Command, ContainerNetns};
use cni_types::{Attachment, Code, Error};
use netlink::{Child, Kind, Link, Rtnetlink};

use super::conf::{Addresses, ChildConf, MasterChoice};
use super::{kind, kind_name, master, mode_name};
use crate::removal::whose_child;
use crate::{CheckError, Ipam, KernelError, Mark, Sandbox, check, not_ready};

/// Removes the attachment's link, and has IPAM take its addresses back.
///
/// # Errors
/// As [`crate::del`].
pub fn del(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
    is_own: impl FnOnce(&Kind) -> bool,
) -> Result<(), Error> {
    let mark = Mark::new(&call.conf.name, attachment);
    let remove_link = || {
        let whose = |link: &Link| Ok(whose_child(&mark, link, is_own));
        crate::remove_link(call, attachment, netns, whose)
    };
    crate::del(call, remove_link, || Ok(()))
}

/// Compares the link, its addresses and its routes with the result of ADD.
///
/// # Errors
/// Code 120 for what is not as it was; IPAM's own.
pub fn check(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
    conf: &ChildConf,
) -> Result<(), Error> {
    let previous = call.conf.required_prev_result()?;
    let (_, mut inside) = Sandbox::open(netns)?;
    if let Addresses::Ipam(plugin_type) = &conf.addresses {
        let ipam = Ipam::find(call, plugin_type.clone())?;
        ipam.start(Command::Check)?.run()?;
    }
    let ifname = attachment.ifname.as_str();
    let (position, interface) = check::interface_of(&previous, ifname, Some(netns.path()))?;
    let link = check::link(&mut inside, interface)?;
    check::up(&link)?;
    is_child(&link, conf.child)?;
    if matches!(conf.master, MasterChoice::Named(_)) {
        is_on_master(&link, conf, &mut inside)?;
    }
    check::addresses_and_routes(&mut inside, &link, &previous, position)
}

fn is_on_master(link: &Link, conf: &ChildConf, inside: &mut Rtnetlink) -> Result<(), Error> {
    let mut outside;
    let home = if conf.link_in_container {
        inside
    } else {
        outside = Rtnetlink::open().map_err(KernelError::from)?;
        &mut outside
    };
    let master = master::find(conf, home).map_err(|error| Error {
        code: Code::CHECK_FAILED,
        ..error.into()
    })?;
    let parent = link.parent.map(|parent| parent.index);
    if parent.is_some_and(|parent| master::wires(&master).any(|wire| wire == parent)) {
        return Ok(());
    }
    let found = check::name_of(home, parent)?;
    Err(CheckError::differs("master", link, found, &master.name).into())
}

fn is_child(link: &Link, child: Child) -> Result<(), CheckError> {
    if link.kind == kind(child) {
        return Ok(());
    }
    let (what, found, expected) = match &link.kind {
        Kind::Ipvlan(Some(mode)) if matches!(child, Child::Ipvlan(_)) => {
            ("mode", mode.as_str(), mode_name(child))
        }
        Kind::Macvlan(Some(mode)) if matches!(child, Child::Macvlan(_)) => {
            ("mode", mode.as_str(), mode_name(child))
        }
        other => ("kind", other.name(), kind_name(child)),
    };
    Err(CheckError::differs(what, link, found, expected))
}

/// Passes GC on to IPAM: links are gone with their containers.
///
/// # Errors
/// IPAM's.
pub fn gc(call: &Call<'_>) -> Result<(), Error> {
    Ipam::gc(call)
}

/// Finds out whether an ADD could succeed now: the master is there, and IPAM is ready. A master in
/// a container cannot be looked for, as no container is named.
///
/// # Errors
/// Code 50 if not; IPAM's own.
pub fn status(call: &Call<'_>, conf: &ChildConf) -> Result<(), Error> {
    if !conf.link_in_container {
        let mut outside = Rtnetlink::open().map_err(KernelError::from)?;
        let master = master::find(conf, &mut outside).map_err(not_ready)?;
        master::fits(conf, &master).map_err(not_ready)?;
    }
    match &conf.addresses {
        Addresses::Ipam(plugin_type) => Ipam::status(call, plugin_type),
        Addresses::None | Addresses::Given(_) => Ok(()),
    }
}
