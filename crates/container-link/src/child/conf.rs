use cni_plugin::Call;
use cni_types::{AddResult, Dns, Error, LinkName, PluginType};
use netlink::{Child, Mac, UnknownMode};
use serde::Deserialize;

use super::error::ConfError;
use crate::ipam_type;

/// The least that the kernel takes, in bytes: what IPv4 needs.
const MIN_MTU: u32 = 68;

/// What both plugins' configurations have, as it is written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConf {
    master: String,
    mode: String,
    mtu: i64,
    link_in_container: bool,
    dns: Dns,
}

/// What an ADD makes.
#[derive(Clone, Debug)]
pub struct ChildConf {
    /// The kind of link, and its mode.
    pub child: Child,
    /// `master`: the link whose wire it shares.
    pub master: MasterChoice,
    /// `linkInContainer`: whether the master is in the container too, not on the node.
    pub link_in_container: bool,
    /// `mtu` in bytes; the master's if `None`.
    pub mtu: Option<u32>,
    /// The Ethernet address that is asked for.
    pub mac: Option<Mac>,
    /// Where its addresses come from.
    pub addresses: Addresses,
    /// `dns`, for the result; IPAM's if it is empty.
    pub dns: Dns,
}

/// Which link is the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterChoice {
    /// The one with this name, or alternative name.
    Named(LinkName),
    /// The one that the default route leads to.
    DefaultRoute,
}

/// Where the link's addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Nowhere: somebody else may give it some.
    None,
    /// From an IPAM plugin.
    Ipam(PluginType),
    /// From the plugins before this one in a chain.
    Given(Box<AddResult>),
}

impl ChildConf {
    /// Reads what both plugins have; `mode_of` knows the modes, and which is the default for an empty text.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for a value that makes no sense.
    pub fn of(
        call: &Call<'_>,
        mode_of: impl FnOnce(&str) -> Result<Child, UnknownMode>,
    ) -> Result<Self, Error> {
        let raw: RawConf = call.conf.decode()?;
        let ipam = ipam_type(call.conf)?;
        Ok(Self {
            child: mode_of(&raw.mode).map_err(ConfError::Mode)?,
            master: master(&raw.master)?,
            link_in_container: raw.link_in_container,
            mtu: mtu(raw.mtu)?,
            mac: None,
            addresses: ipam.map_or(Addresses::None, Addresses::Ipam),
            dns: raw.dns,
        })
    }
}

fn master(text: &str) -> Result<MasterChoice, ConfError> {
    if text.is_empty() {
        return Ok(MasterChoice::DefaultRoute);
    }
    let name = text.parse().map_err(ConfError::Master)?;
    Ok(MasterChoice::Named(name))
}

fn mtu(number: i64) -> Result<Option<u32>, ConfError> {
    match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(mtu) if mtu >= MIN_MTU => Ok(Some(mtu)),
        _ => Err(ConfError::Mtu(number)),
    }
}
