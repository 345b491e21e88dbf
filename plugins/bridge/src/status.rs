//! STATUS: whether an ADD could succeed now.

use cni_plugin::Call;
use cni_types::Error;
use container_link::{Ipam, not_ready};
use netlink::{Change, LinkChange, LinkKind, NetlinkError, Rtnetlink};

use crate::bridge_link;
use crate::config::Config;
use crate::error::BridgeError;

/// An index that no link has: the kernel counts up from 1.
const NO_LINK: u32 = i32::MAX as u32;

/// Reports whether an ADD could succeed now: whether the bridge exists or can be created, and the
/// IPAM plugin is ready.
pub(crate) fn status(call: &Call<'_>) -> Result<(), Error> {
    let config = Config::of(call)?;
    probe(&config).map_err(not_ready)?;
    match &config.ipam {
        Some(plugin_type) => Ipam::status(call, plugin_type),
        None => Ok(()),
    }
}

/// Checks that the plugin may change links, and that the bridge's name is free or a bridge's.
fn probe(config: &Config) -> Result<(), BridgeError> {
    let mut kernel = Rtnetlink::open()?;
    let nothing = Change::SetLink {
        link: NO_LINK,
        change: LinkChange::default(),
    };
    // The kernel checks the privilege first, then whether the link exists.
    match kernel.apply(&[nothing]) {
        Err(error) if error.is_not_found() => {}
        // The error would name the index.
        Err(NetlinkError::Refused { errno, text, .. }) => {
            let what = "change links".to_owned();
            return Err(NetlinkError::Refused { what, errno, text }.into());
        }
        other => other?,
    }
    match kernel.link_by_name(config.bridge.as_str())? {
        None => bridge_link::name_of_new(config).map(drop),
        Some(link) if matches!(link.kind, LinkKind::Bridge { .. }) => Ok(()),
        Some(link) => Err(BridgeError::NotABridge {
            name: config.bridge.clone(),
            kind: link.kind,
        }),
    }
}
