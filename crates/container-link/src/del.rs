//! The order of a DEL.

use cni_plugin::{Call, Command};
use cni_types::Error;

use crate::Ipam;

/// DEL: `remove_link` removes the attachment's link, `clean_up` removes its rules and settings on
/// the node, and the IPAM plugin releases its addresses. Of the configuration, only `ipam.type` is
/// read here.
///
/// An IPAM plugin that may need the link to release an address, such as `dhcp`, is called first.
/// Any other is called last, and only if the link and the rules have been removed: an address must
/// not be allocated again while a link or a rule still has it.
///
/// # Errors
/// If a step fails. The other steps are carried out nevertheless, and a repeated DEL does the rest.
pub fn del(
    call: &Call<'_>,
    remove_link: impl FnOnce() -> Result<(), Error>,
    clean_up: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let ipam = Ipam::to_release(call);
    // The IPAM plugin starts while the link is being removed, and waits for its configuration.
    let started = match &ipam {
        Ok(Some(ipam)) => Some(ipam.start(Command::Del)),
        Ok(None) | Err(_) => None,
    };
    let release = || match started {
        Some(started) => Ok(started?.run()?),
        None => Ok(()),
    };
    let detach = || {
        let errors = [remove_link().err(), clean_up().err()];
        Error::join(errors.into_iter().flatten()).map_or(Ok(()), Err)
    };
    let needs_link = matches!(&ipam, Ok(Some(ipam)) if ipam.needs_link());
    let errors = if needs_link {
        let released = release();
        [released.err(), detach().err()]
    } else {
        [detach().and_then(|()| release()).err(), None]
    };
    // The link is removed even if the IPAM plugin is missing.
    let errors = errors.into_iter().chain([ipam.err()]);
    Error::join(errors.flatten()).map_or(Ok(()), Err)
}
