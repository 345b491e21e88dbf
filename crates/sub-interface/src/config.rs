//! The keys that ipvlan and macvlan share.

use cni_plugin::Call;
use cni_types::json::OptionalText;
use cni_types::{AddResult, Dns, Error, LinkName, PluginType};
use netlink::{Child, Mac, UnknownMode};
use serde::Deserialize;

use super::error::ConfError;
use crate::CommonConf;

/// The keys as they are written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConf {
    master: OptionalText,
    mode: OptionalText,
    link_in_container: bool,
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
    /// Reads the keys that both plugins have; `mode_of` parses `mode`, and returns the plugin's
    /// default where there is none.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for a value that makes no sense.
    pub fn of(
        call: &Call<'_>,
        mode_of: impl FnOnce(Option<&str>) -> Result<Child, UnknownMode>,
    ) -> Result<Self, Error> {
        let raw: RawConf = call.conf.decode()?;
        let common = CommonConf::of(call.conf)?;
        Ok(Self {
            child: mode_of(raw.mode.get()).map_err(ConfError::Mode)?,
            master: master(raw.master.get())?,
            link_in_container: raw.link_in_container,
            mtu: common.mtu,
            mac: None,
            addresses: common.ipam.map_or(Addresses::None, Addresses::Ipam),
            dns: common.dns,
        })
    }
}

fn master(name: Option<&str>) -> Result<MasterChoice, ConfError> {
    let name = name
        .map(str::parse)
        .transpose()
        .map_err(ConfError::Master)?;
    Ok(name.map_or(MasterChoice::DefaultRoute, MasterChoice::Named))
}
