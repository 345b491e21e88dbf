//! GC and STATUS: what a runtime asks for beside the containers that come and go.

use cni_plugin::Call;
use cni_types::{Error, ValidAttachments};
use container_link::{Ipam, not_ready};
use netlink::{Change, Kind, LinkChange, Rtnetlink};

use crate::config::Config;
use crate::error::BridgeError;
use crate::{bridge_link, detach, rules};

/// The index of no link: the kernel counts up from 1.
const NO_LINK: u32 = i32::MAX as u32;

pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    // Addresses come last: what has them should be gone by then.
    let pairs = detach::collect(call, valid);
    let rules = rules::collect(call, valid);
    let by_ipam = Ipam::gc(call);
    let errors = [pairs.err(), rules.err(), by_ipam.err()];
    Error::join(errors.into_iter().flatten()).map_or(Ok(()), Err)
}

pub(crate) fn status(call: &Call<'_>) -> Result<(), Error> {
    let config = Config::of(call)?;
    probe(&config).map_err(not_ready)?;
    match &config.ipam {
        Some(plugin_type) => Ipam::status(call, plugin_type),
        None => Ok(()),
    }
}

/// Finds out whether links can be changed, and whether the bridge's name is free or a bridge's.
fn probe(config: &Config) -> Result<(), BridgeError> {
    let mut kernel = Rtnetlink::open()?;
    let nothing = Change::change_link(NO_LINK, &LinkChange::default());
    // Whether one may is looked at before whether there is such a link.
    match kernel.perform(&[nothing]) {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    match kernel.link_by_name(config.bridge.as_str())? {
        None => bridge_link::name_of_new(config).map(drop),
        Some(link) if matches!(link.kind, Kind::Bridge { .. }) => Ok(()),
        Some(link) => Err(BridgeError::NotABridge {
            name: config.bridge.clone(),
            kind: link.kind,
        }),
    }
}
