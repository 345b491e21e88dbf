//! DEL: the container's link goes first, then its rules, then its addresses: while it had any of these, nobody else should
//! have them.

use std::path::Path;

use cni_plugin::{Call, Command};
use cni_types::{Attachment, Error, IfName};
use netlink::{Change, Kind, NetlinkError, NetnsError};

use crate::error::BridgeError;
use crate::ipam::Ipam;
use crate::rules;
use crate::sandbox::Sandbox;

/// It reads nothing of the configuration but `name` and `ipam`: the rest may be whatever it has become.
pub(crate) fn del(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&Path>,
) -> Result<(), Error> {
    let ipam = Ipam::of(call);
    // It starts while the link is being removed, and does nothing before it is given its configuration.
    let started = match &ipam {
        Ok(Some(ipam)) => Some((ipam, ipam.start(Command::Del))),
        Ok(None) | Err(_) => None,
    };
    if let Some(netns) = netns {
        remove_link(call, &attachment.ifname, netns)?;
    }
    rules::remove(call, attachment)?;
    if let Some((ipam, started)) = started {
        started
            .and_then(|started| ipam.run(started))
            .map_err(BridgeError::from)?;
    }
    // An IPAM plugin that is not there is no reason to leave the link.
    ipam.map(drop)
}

/// Removes both ends of the pair, if there is one in the namespace, and if there is a namespace.
fn remove_link(call: &Call<'_>, name: &IfName, netns: &Path) -> Result<(), BridgeError> {
    let outcome = Sandbox::open(netns).map_err(NetlinkError::from);
    let outcome = outcome.and_then(|sandbox| sandbox.network());
    let mut inside = match outcome {
        // With the namespace the link is gone too.
        Err(NetlinkError::Netns(error @ (NetnsError::NotFound(_) | NetnsError::NotANetns(_)))) => {
            call.log.debug(format_args!("{error}"));
            return Ok(());
        }
        outcome => outcome?,
    };
    match inside.link_by_name(name.as_str())? {
        None => {
            call.log.debug(format_args!("there is no link {name}"));
            Ok(())
        }
        Some(link) if link.kind == Kind::Veth => {
            match inside.perform(&[Change::delete_link(link.index)]) {
                Err(error) if !error.is_not_found() => Err(error.into()),
                _ => {
                    call.log.debug(format_args!("link {name} removed"));
                    Ok(())
                }
            }
        }
        // ADD makes no such thing.
        Some(_) => {
            call.log
                .info(format_args!("link {name} is no veth: left alone"));
            Ok(())
        }
    }
}
