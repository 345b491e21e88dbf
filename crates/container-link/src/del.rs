//! The order of a DEL.

use cni_plugin::{Call, Command};
use cni_types::Error;

use crate::Ipam;

/// DEL: `remove_link` removes the attachment's link, `clean_up` what is left of it on the node, and
/// IPAM releases its addresses. Of the configuration nothing counts but `ipam.type`.
///
/// An IPAM plugin that may need the link to release an address, as `dhcp` does, comes first. Others
/// come last, and only where the link and the rest are gone: as long as these have an address,
/// nobody else may get it.
///
/// # Errors
/// If something stays; all the rest is done nevertheless. It can be tried again.
pub fn del(
    call: &Call<'_>,
    remove_link: impl FnOnce() -> Result<(), Error>,
    clean_up: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let ipam = Ipam::to_release(call);
    // It starts while the link is being removed, and does nothing before it is told to go on.
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
    // An IPAM plugin that is not there is no reason to leave the link.
    let errors = errors.into_iter().chain([ipam.err()]);
    Error::join(errors.flatten()).map_or(Ok(()), Err)
}
