//! The configuration: `raw` mirrors the JSON, a [`Config`] is valid.

mod raw;
mod vlans;

use cni_plugin::Call;
use cni_types::{Dns, Error, IfName, LinkName, PluginType};
use container_link::{CommonConf, DuplicateDetection, requested_mac};
use firewall::Backend;
use netlink::Mac;

use self::raw::RawConf;
pub(crate) use self::vlans::Vlans;
use crate::error::ConfigError;

const DEFAULT_BRIDGE: &str = "cni0";

/// The configuration of ADD, CHECK and STATUS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `bridge`: the bridge's name, or an alternative name of an existing bridge.
    pub(crate) bridge: LinkName,
    /// `isGateway` or `isDefaultGateway`: whether the bridge has the gateways' addresses.
    pub(crate) is_gateway: bool,
    /// `isDefaultGateway`: whether the bridge is the next hop of the containers' default routes.
    pub(crate) is_default_gateway: bool,
    /// `forceAddress`: whether an ADD replaces other addresses of the bridge.
    pub(crate) force_address: bool,
    /// `ipMasq` and `ipMasqBackend`.
    pub(crate) masquerading: Masquerading,
    /// `mtu`, in bytes; the bridge's if `None`.
    pub(crate) mtu: Option<u32>,
    /// `hairpinMode`: whether the bridge may send a frame out of the port that it came in by.
    pub(crate) hairpin: bool,
    /// `promiscMode`: whether the bridge is in promiscuous mode.
    pub(crate) is_promiscuous: bool,
    /// `vlan`, `vlanTrunk` and `preserveDefaultVlan`.
    pub(crate) vlans: Option<Vlans>,
    /// The name of the link that has the gateways' addresses in the containers' VLAN; `None` if the
    /// bridge has them.
    pub(crate) vlan_gateway: Option<IfName>,
    /// `macspoofchk`: whether frames with other source MACs than the container's are dropped.
    pub(crate) holds_to_mac: bool,
    /// `enabledad`: duplicate address detection of the container's IPv6 addresses (RFC 4862).
    pub(crate) duplicate_detection: DuplicateDetection,
    /// The opposite of `disableContainerInterface`: whether ADD sets the container's end up.
    pub(crate) sets_container_up: bool,
    /// `portIsolation`: whether the port cannot reach other isolated ports.
    pub(crate) is_isolated: bool,
    /// The requested MAC, from `runtimeConfig.mac`, `args.cni.mac` or `CNI_ARGS`.
    pub(crate) mac: Option<Mac>,
    /// `ipam.type`; `None` for a container without addresses.
    pub(crate) ipam: Option<PluginType>,
    /// `dns`, for the result.
    pub(crate) dns: Dns,
}

impl Config {
    /// Whether the bridge itself has the gateways' addresses.
    pub(crate) fn gives_bridge_addresses(&self) -> bool {
        self.is_gateway && self.ipam.is_some() && self.vlan_gateway.is_none()
    }

    /// Reads the whole configuration, and `MAC` in `CNI_ARGS`.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an invalid value, 4 for `CNI_ARGS`.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let raw: RawConf = call.conf.decode()?;
        let common = CommonConf::of(call.conf)?;
        let config = Self {
            mtu: common.mtu,
            mac: requested_mac(call)?,
            ipam: common.ipam,
            dns: common.dns,
            ..Self::valid(&raw)?
        };
        if config.ipam.is_some() && !config.sets_container_up {
            return Err(ConfigError::DisabledWithIpam.into());
        }
        Ok(config)
    }

    /// The configuration without the keys that several plugins have.
    fn valid(raw: &RawConf) -> Result<Self, ConfigError> {
        if raw.hairpin_mode && raw.promisc_mode {
            return Err(ConfigError::HairpinAndPromisc);
        }
        let bridge = raw.bridge.as_deref().unwrap_or(DEFAULT_BRIDGE);
        let bridge: LinkName = bridge.parse().map_err(ConfigError::Bridge)?;
        let is_gateway = raw.is_gateway || raw.is_default_gateway;
        let vlans = Vlans::of(raw)?;
        let access = vlans.as_ref().and_then(|vlans| vlans.access);
        let vlan_gateway = access.filter(|_| is_gateway);
        let vlan_gateway = vlan_gateway.map(|vlan| format!("{bridge}.{vlan}").parse());
        Ok(Self {
            bridge,
            is_gateway,
            is_default_gateway: raw.is_default_gateway,
            force_address: raw.force_address,
            masquerading: Masquerading::valid(raw.ip_masq, raw.ip_masq_backend.get())?,
            mtu: None,
            hairpin: raw.hairpin_mode,
            is_promiscuous: raw.promisc_mode,
            vlans,
            vlan_gateway: vlan_gateway.transpose().map_err(ConfigError::VlanGateway)?,
            holds_to_mac: raw.mac_spoof_check,
            duplicate_detection: if raw.enable_dad {
                DuplicateDetection::On
            } else {
                DuplicateDetection::Off
            },
            sets_container_up: !raw.disable_container_interface,
            is_isolated: raw.port_isolation,
            mac: None,
            ipam: None,
            dns: Dns::default(),
        })
    }
}

/// Masquerading: whether it is wanted, and its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Masquerading {
    /// `ipMasq`.
    pub(crate) is_wanted: bool,
    /// `ipMasqBackend`, if there is one.
    pub(crate) backend: Option<Backend>,
}

impl Masquerading {
    /// Whether `ipMasq` is true, or cannot be read. No other key is decoded.
    pub(crate) fn may_be_wanted(call: &Call<'_>) -> bool {
        match call.conf.value("ipMasq") {
            Ok(is_wanted) => is_wanted.unwrap_or_default(),
            Err(_) => true,
        }
    }

    fn valid(is_wanted: bool, backend: Option<&str>) -> Result<Self, ConfigError> {
        Ok(Self {
            is_wanted,
            backend: backend.map(str::parse).transpose()?,
        })
    }
}
