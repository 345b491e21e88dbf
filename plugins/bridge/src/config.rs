//! The configuration: `raw` is what may be written, [`Config`] what is valid.

mod raw;
mod vlans;

use cni_plugin::Call;
use cni_types::{Dns, Error, IfName, LinkName, PluginType};
use container_link::{DuplicateDetection, ipam_type, requested_mac};
use firewall::Backend;
use netlink::Mac;

use self::raw::{RawConf, RawMasquerading};
pub(crate) use self::vlans::Vlans;
use crate::error::ConfigError;

const DEFAULT_BRIDGE: &str = "cni0";

/// The MTUs that a veth can have, in bytes.
const MTUS: std::ops::RangeInclusive<u32> = 68..=65535;

/// What ADD, CHECK and STATUS need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `bridge`: the bridge's name, or an alternative name of one that is there.
    pub(crate) bridge: LinkName,
    /// `isGateway` or `isDefaultGateway`: whether the bridge gets the gateways' addresses.
    pub(crate) is_gateway: bool,
    /// `isDefaultGateway`: whether the containers' default routes lead there.
    pub(crate) is_default_gateway: bool,
    /// `forceAddress`: whether another address of the bridge is replaced.
    pub(crate) force_address: bool,
    /// `ipMasq` and `ipMasqBackend`.
    pub(crate) masquerading: Masquerading,
    /// `mtu`, in bytes; the kernel's default if `None`.
    pub(crate) mtu: Option<u32>,
    /// `hairpinMode`: whether the port sends out what came in by it.
    pub(crate) hairpin: bool,
    /// `promiscMode`: whether the bridge takes all packets.
    pub(crate) is_promiscuous: bool,
    /// `vlan`, `vlanTrunk` and `preserveDefaultVlan`.
    pub(crate) vlans: Option<Vlans>,
    /// The name of the link that has the gateways' addresses in the containers' VLAN; `None` where that is the bridge.
    pub(crate) vlan_gateway: Option<IfName>,
    /// `macspoofchk`: whether the container is held to its MAC.
    pub(crate) holds_to_mac: bool,
    /// `enabledad`: whether others are asked for the container's IPv6 addresses (RFC 4862).
    pub(crate) duplicate_detection: DuplicateDetection,
    /// The opposite of `disableContainerInterface`: whether the container's end is set up.
    pub(crate) sets_container_up: bool,
    /// `portIsolation`: whether the port is kept apart from other isolated ones.
    pub(crate) is_isolated: bool,
    /// The MAC that is asked for, from `runtimeConfig.mac`, `args.cni.mac` or `CNI_ARGS`.
    pub(crate) mac: Option<Mac>,
    /// `ipam.type`; `None` means that the container gets no address.
    pub(crate) ipam: Option<PluginType>,
    /// `dns`, for the result.
    pub(crate) dns: Dns,
}

impl Config {
    /// Whether the bridge itself gets the gateways' addresses.
    pub(crate) fn gives_bridge_addresses(&self) -> bool {
        self.is_gateway && self.ipam.is_some() && self.vlan_gateway.is_none()
    }

    /// Reads the whole configuration, and `MAC` in `CNI_ARGS`.
    ///
    /// Errors: code 6 for a key of the wrong type, 7 for a value that makes no sense, 4 for `CNI_ARGS`.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let raw: RawConf = call.conf.decode()?;
        let config = Self {
            ipam: ipam_type(call.conf)?,
            mac: requested_mac(call)?,
            ..Self::valid(&raw)?
        };
        if config.ipam.is_some() && !config.sets_container_up {
            return Err(ConfigError::DisabledWithIpam.into());
        }
        Ok(config)
    }

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
            masquerading: Masquerading::valid(raw.ip_masq, raw.ip_masq_backend.as_deref())?,
            mtu: mtu(raw.mtu)?,
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
            dns: raw.dns.clone(),
        })
    }
}

/// Whether containers' traffic leaves with the node's address, and by whose doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Masquerading {
    /// `ipMasq`.
    pub(crate) is_wanted: bool,
    /// `ipMasqBackend`, if it is given.
    pub(crate) backend: Option<Backend>,
}

impl Masquerading {
    /// Whether it is wanted, or may be: nothing else of the configuration is read.
    pub(crate) fn may_be_wanted(call: &Call<'_>) -> bool {
        let raw: Result<RawMasquerading, _> = call.conf.decode();
        raw.map_or(true, |raw| raw.ip_masq)
    }

    fn valid(is_wanted: bool, backend: Option<&str>) -> Result<Self, ConfigError> {
        let backend = present(backend);
        Ok(Self {
            is_wanted,
            backend: backend.map(str::parse).transpose()?,
        })
    }
}

fn mtu(number: i64) -> Result<Option<u32>, ConfigError> {
    if number == 0 {
        return Ok(None);
    }
    let mtu = u32::try_from(number).ok().filter(|mtu| MTUS.contains(mtu));
    mtu.map(Some).ok_or(ConfigError::Mtu(number))
}

/// Runtimes write an empty text for what is not set.
fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}
