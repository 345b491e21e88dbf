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
struct RawConf {
    master: OptionalText,
    mode: OptionalText,
    link_in_container: bool,
}

/// The valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kind of link, and `mode`.
    pub kind: SubInterface,
    /// `master`: the link whose wire the new one shares.
    pub master: MasterChoice,
    /// `linkInContainer`: whether the master is in the container, not on the node.
    pub link_in_container: bool,
    /// `mtu` in bytes; the master's if `None`.
    pub mtu: Option<u32>,
    /// The MAC that the configuration or the runtime requests.
    pub mac: Option<Mac>,
    /// The source of its addresses.
    pub addresses: Addresses,
    /// `dns`, for the result; IPAM's if it is empty.
    pub dns: Dns,
    /// Whether master and addresses come from the plugins before this one in a chain, which STATUS
    /// cannot know.
    pub is_chained: bool,
}

/// The selection of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterChoice {
    /// By its name or alternative name.
    Named(LinkName),
    /// The default route's link.
    DefaultRoute,
}

/// The source of the link's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// None: the link gets no addresses from this plugin.
    None,
    /// An IPAM plugin.
    Ipam(PluginType),
    /// The plugins before this one in a chain.
    Given(Box<AddResult>),
}

impl Config {
    /// Reads the keys of both plugins; `kind_of` parses `mode`, and returns the plugin's default if
    /// there is none.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an invalid value.
    pub fn of(
        call: &Call<'_>,
        kind_of: impl FnOnce(Option<&str>) -> Result<SubInterface, UnknownMode>,
    ) -> Result<Self, Error> {
        let raw: RawConf = call.conf.decode()?;
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
