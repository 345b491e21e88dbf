//! The keys that ipvlan and macvlan share.

use cni_plugin::Call;
use cni_types::json::OptionalText;
use cni_types::{AddResult, Dns, Error, LinkName, PluginType};
use container_link::CommonConf;
use netlink::{Mac, SubInterface, UnknownMode};
use serde::Deserialize;

use crate::error::ConfigError;

/// The keys as they are written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConfig {
    master: OptionalText,
    mode: OptionalText,
    link_in_container: bool,
}

/// What an ADD makes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kind of link, and `mode`.
    pub kind: SubInterface,
    /// `master`: the link whose wire the new one shares.
    pub master: MasterChoice,
    /// `linkInContainer`: whether the master is in the container too, not on the node.
    pub link_in_container: bool,
    /// `mtu` in bytes; the master's if `None`.
    pub mtu: Option<u32>,
    /// The Ethernet address that the configuration or the runtime asks for.
    pub mac: Option<Mac>,
    /// Where its addresses come from.
    pub addresses: Addresses,
    /// `dns`, for the result; IPAM's if it is empty.
    pub dns: Dns,
    /// Whether master and addresses come from the plugins before this one in a chain, of which
    /// STATUS knows nothing.
    pub is_chained: bool,
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
    /// Nowhere: the link gets none from this plugin.
    None,
    /// From an IPAM plugin.
    Ipam(PluginType),
    /// From the plugins before this one in a chain.
    Given(Box<AddResult>),
}

impl Config {
    /// Reads the keys that both plugins have; `kind_of` parses `mode`, and returns the plugin's
    /// default where there is none.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an invalid value.
    pub fn of(
        call: &Call<'_>,
        kind_of: impl FnOnce(Option<&str>) -> Result<SubInterface, UnknownMode>,
    ) -> Result<Self, Error> {
        let raw: RawConfig = call.conf.decode()?;
        let common = CommonConf::of(call.conf)?;
        Ok(Self {
            kind: kind_of(raw.mode.get()).map_err(ConfigError::Mode)?,
            master: master(raw.master.get())?,
            link_in_container: raw.link_in_container,
            mtu: common.mtu,
            mac: None,
            addresses: common.ipam.map_or(Addresses::None, Addresses::Ipam),
            dns: common.dns,
            is_chained: false,
        })
    }
}

fn master(name: Option<&str>) -> Result<MasterChoice, ConfigError> {
    let name = name
        .map(str::parse)
        .transpose()
        .map_err(ConfigError::Master)?;
    Ok(name.map_or(MasterChoice::DefaultRoute, MasterChoice::Named))
}
