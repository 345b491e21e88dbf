use cni_plugin::{Call, Command, ContainerNetns};
use cni_types::{Attachment, Error};
use netlink::{Kind, Rtnetlink};

use crate::sandbox::delete_link;
use crate::{Ipam, Sandbox, SandboxError};

/// DEL: the attachment's link goes first, if it is one of the plugin's; then what `clean_up` removes; then its addresses:
/// while it had any of these, nobody else should have them. Of the configuration nothing counts but `ipam.type`.
///
/// # Errors
/// If something stays. It can be tried again.
pub fn del(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
    is_own: impl FnOnce(&Kind) -> bool,
    clean_up: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let ipam = Ipam::of(call);
    // It starts while the link is being removed, and does nothing before it is told to go on.
    let started = match &ipam {
        Ok(Some(ipam)) => Some(ipam.start(Command::Del)),
        Ok(None) | Err(_) => None,
    };
    match Sandbox::open_if_any(netns)? {
        Some((_, mut inside)) => remove_link(call, attachment, &mut inside, is_own)?,
        None => call
            .log
            .debug(format_args!("the container has no namespace any more")),
    }
    clean_up()?;
    if let Some(started) = started {
        started?.run()?;
    }
    // An IPAM plugin that is not there is no reason to leave the link.
    ipam.map(drop)
}

fn remove_link(
    call: &Call<'_>,
    attachment: &Attachment,
    inside: &mut Rtnetlink,
    is_own: impl FnOnce(&Kind) -> bool,
) -> Result<(), SandboxError> {
    let name = &attachment.ifname;
    let Some(link) = inside.link_by_name(name.as_str())? else {
        call.log.debug(format_args!("there is no link {name}"));
        return Ok(());
    };
    if !is_own(&link.kind) {
        let kind = link.kind.name();
        call.log.info(format_args!(
            "link {name} is left alone: it is another plugin's, of kind {kind}"
        ));
        return Ok(());
    }
    delete_link(inside, link.index)?;
    call.log.debug(format_args!("link {name} removed"));
    Ok(())
}
