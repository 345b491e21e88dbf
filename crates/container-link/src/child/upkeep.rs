//! What comes after ADD: CHECK, DEL, GC, STATUS.

use std::path::Path;

use cni_plugin::{Call, Command};
use cni_types::{Attachment, Code, Error};
use netlink::{Child, Kind, Link, Rtnetlink};

use super::conf::{Addresses, ChildConf, MasterChoice};
use super::error::Unavailable;
use super::{kind, kind_name, master, mode_name};
use crate::{
    CheckError, Ipam, KernelError, Sandbox, SandboxError, check, ipam_type,
    required_previous_result,
};

/// Removes the attachment's link, if it is one of this plugin's, and has IPAM take its addresses back. Of the configuration
/// nothing counts but `ipam.type`.
///
/// # Errors
/// If the link stays, or IPAM fails. Both can be tried again.
pub fn del(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&Path>,
    is_own: impl FnOnce(&Kind) -> bool,
) -> Result<(), Error> {
    let ipam = match ipam_type(call.conf)? {
        Some(plugin_type) => Some(Ipam::find(call, plugin_type)?),
        None => None,
    };
    let started = match &ipam {
        Some(ipam) => Some((ipam, ipam.start(Command::Del)?)),
        None => None,
    };
    // An address must not go to another container while this one's link still has it.
    if let Some((_, mut inside)) = Sandbox::open_if_any(netns)? {
        remove(call, attachment, &mut inside, is_own)?;
    }
    match started {
        Some((ipam, started)) => Ok(ipam.del(started)?),
        None => Ok(()),
    }
}

fn remove(
    call: &Call<'_>,
    attachment: &Attachment,
    inside: &mut Rtnetlink,
    is_own: impl FnOnce(&Kind) -> bool,
) -> Result<(), SandboxError> {
    let Some(link) = inside.link_by_name(attachment.ifname.as_str())? else {
        return Ok(());
    };
    if !is_own(&link.kind) {
        call.log.info(format_args!(
            "{} is left alone: it is another plugin's",
            link.name
        ));
        return Ok(());
    }
    match inside.perform(&[netlink::Change::delete_link(link.index)]) {
        Err(error) if error.is_not_found() => Ok(()),
        removed => Ok(removed?),
    }
}

/// Compares the link, its addresses and its routes with the result of ADD.
///
/// # Errors
/// Code 120 for what is not as it was; IPAM's own.
pub fn check(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &Path,
    conf: &ChildConf,
) -> Result<(), Error> {
    let previous = required_previous_result(call.conf)?;
    let (_, mut inside) = Sandbox::open(netns)?;
    if let Addresses::Ipam(plugin_type) = &conf.addresses {
        Ipam::find(call, plugin_type.clone())?.check()?;
    }
    let (position, interface) = check::interface_of(&previous, attachment, netns)?;
    let link = check::link(&mut inside, interface, attachment, netns)?;
    is_child(&link, conf.child)?;
    if let MasterChoice::Named(name) = &conf.master {
        let master = if conf.link_in_container {
            master::find(conf, &mut inside)
        } else {
            let mut outside = Rtnetlink::open().map_err(KernelError::from)?;
            master::find(conf, &mut outside)
        };
        let master = master.map_err(|error| Error {
            code: Code::CHECK_FAILED,
            ..error.into()
        })?;
        let parent = link.parent.map(|parent| parent.index);
        if parent != Some(master.index) {
            let index = |index: u32| format!("link {index}");
            return Err(CheckError::Differs {
                what: "master",
                ifname: link.name,
                found: parent.map_or("nothing".to_owned(), index),
                expected: format!("{name}, {}", index(master.index)),
            }
            .into());
        }
    }
    check::addresses_and_routes(&mut inside, &link, &previous, position)
}

fn is_child(link: &Link, child: Child) -> Result<(), CheckError> {
    if link.kind == kind(child) {
        return Ok(());
    }
    let (what, found, expected) = match &link.kind {
        Kind::Ipvlan(Some(mode)) if matches!(child, Child::Ipvlan(_)) => {
            ("mode", mode.to_string(), mode_name(child))
        }
        Kind::Macvlan(Some(mode)) if matches!(child, Child::Macvlan(_)) => {
            ("mode", mode.to_string(), mode_name(child))
        }
        other => ("kind", describe(other), kind_name(child)),
    };
    Err(CheckError::Differs {
        what,
        ifname: link.name.clone(),
        found,
        expected: expected.to_owned(),
    })
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Bridge { .. } => "bridge",
        Kind::Veth => "veth",
        Kind::Ipvlan(_) => "ipvlan",
        Kind::Macvlan(_) => "macvlan",
        Kind::Other(name) => name,
        Kind::Device => "device",
    }
    .to_owned()
}

/// Passes GC on to IPAM: links are gone with their containers.
///
/// # Errors
/// IPAM's.
pub fn gc(call: &Call<'_>) -> Result<(), Error> {
    if let Some(plugin_type) = ipam_type(call.conf)?
        && !Ipam::find(call, plugin_type)?.run_if_known(Command::Gc)?
    {
        call.log.info(format_args!("the IPAM plugin knows no GC"));
    }
    Ok(())
}

/// Finds out whether an ADD could succeed now: the master is there, and IPAM is ready. A master in a container cannot be
/// looked for, as no container is named.
///
/// # Errors
/// Code 50 if not; IPAM's own.
pub fn status(call: &Call<'_>, conf: &ChildConf) -> Result<(), Error> {
    if !conf.link_in_container {
        let mut outside = Rtnetlink::open().map_err(KernelError::from)?;
        let master = master::find(conf, &mut outside).map_err(Unavailable::Master)?;
        master::fits(conf, &master).map_err(Unavailable::Unfit)?;
    }
    if let Addresses::Ipam(plugin_type) = &conf.addresses {
        let ipam = Ipam::find(call, plugin_type.clone()).map_err(Unavailable::Ipam)?;
        ipam.run_if_known(Command::Status)?;
    }
    Ok(())
}
