//! Links as the kernel reports them.

use std::fmt;
use std::str::FromStr;

use netlink_packet_core::DecodeError;
use nix::libc;

use crate::Mac;
use crate::reply::{Reply, attributes_of, i32_of, text_of, u8_of, u16_of, u32_of};

/// The length of `struct ifinfomsg`.
pub(crate) const LINK_HEADER: usize = 16;

// linux/if_link.h, where the libc crate does not have it.
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;
const IFLA_BRPORT_STATE: u16 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_MACVLAN_MODE: u16 = 1;

// Where settings stand among a link's: those of IPv4 are counted from 1 in linux/ip.h, those of
// IPv6 from 0 in linux/ipv6.h.
const IPV4_FORWARDING: usize = 0;
const ACCEPT_RA: usize = 3;
const DISABLE_IPV6: usize = 26;

/// The tags of IEEE 802.1Q (`ETH_P_8021Q`), as they are on the wire.
const TAGS_OF_8021Q: [u8; 2] = [0x81, 0x00];

/// The state of a bridge's port that passes frames on (`BR_STATE_FORWARDING`).
const FORWARDING: u8 = 3;

/// A network interface as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name in its namespace. It may have alternative names beside it, by which it is found
    /// too.
    pub name: String,
    /// The text that somebody gave it for administration (`IFLA_IFALIAS`).
    pub alias: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Its Ethernet address, if it has one.
    pub mac: Option<Mac>,
    /// The largest packet it takes in bytes.
    pub mtu: u32,
    /// The index of the bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// What it is as a bridge's port, if it is one.
    pub port: Option<BridgePort>,
    /// Whether it was set up (`IFF_UP`); it may have no carrier.
    pub is_up: bool,
    /// Whether it works.
    pub state: OperState,
    /// Whether somebody asked it to take all packets. A bridge's port does so anyhow and does not
    /// count.
    pub is_promiscuous: bool,
    /// The interface it belongs to: a veth's other end, an ipvlan's or macvlan's master.
    pub parent: Option<Parent>,
    /// `accept_ra`: 0 if its namespace ignores router advertisements on it, 1 if it heeds them
    /// unless it forwards, 2 if it heeds them anyhow. `None` where the link has no IPv6.
    pub accept_ra: Option<i32>,
    /// Whether IPv6 is there and switched off on the link (`disable_ipv6`).
    pub is_ipv6_off: bool,
    /// Whether its namespace does not pass on what comes in by it over IPv4 (`forwarding`),
    /// whatever `ip_forward` says.
    pub is_ipv4_forwarding_off: bool,
}

/// The interface that another one belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its index in its own namespace.
    pub index: u32,
    /// That namespace, as a number that only the namespace of the link itself knows; `None` if it
    /// is the same.
    pub netns: Option<i32>,
}

/// What a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bridge.
    Bridge {
        /// Whether it heeds VLANs.
        vlan_filtering: bool,
        /// The VLAN that a new port gets by itself; 0 for none.
        default_pvid: u16,
    },
    /// One end of a pair.
    Veth,
    /// An ipvlan; `None` for a mode that this crate does not know.
    Ipvlan(Option<IpvlanMode>),
    /// A macvlan; `None` for a mode that this crate does not know.
    Macvlan(Option<MacvlanMode>),
    /// A VLAN of its parent, by its number; `None` if the tags are not those of IEEE 802.1Q.
    Vlan(Option<u16>),
    /// Something else that was made by software, by the kernel's name for it: `vxlan`.
    Other(String),
    /// Nothing that was made: hardware, or `lo`.
    Device,
}

/// What a bridge's port is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// Whether frames may go out where they came in.
    pub hairpin: bool,
    /// Whether frames to other isolated ports are dropped.
    pub isolated: bool,
    /// Whether the bridge learns addresses from it.
    pub learning: bool,
    /// Whether it passes frames on: it is up and the spanning tree does not block it.
    pub is_forwarding: bool,
}

/// Whether a link works (RFC 2863).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperState {
    /// The driver does not tell: `lo`.
    Unknown,
    /// It is down, or has no carrier.
    Down,
    /// What it belongs to is down.
    LowerLayerDown,
    /// It waits for something, such as authentication.
    Dormant,
    /// It works.
    Up,
    /// Something else.
    Other(u8),
}

/// What an ipvlan looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// `l2`: frames; its namespace routes.
    L2,
    /// `l3`: packets; the master's namespace routes.
    L3,
    /// `l3s`: as `l3`, with the master's firewall in the way.
    L3s,
}

/// Whom a macvlan talks to on its own master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// `private`: nobody.
    Private,
    /// `vepa`: others through the switch outside.
    Vepa,
    /// `bridge`: others, directly.
    Bridge,
    /// `passthru`: there are no others.
    Passthru,
}

/// Text that is no mode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode {mode:?}: use one of {known}")]
pub struct UnknownMode {
    /// The text.
    pub mode: String,
    /// The modes that there are.
    pub known: &'static str,
}

impl Link {
    pub(crate) fn parse(reply: &Reply<'_>) -> Result<Self, DecodeError> {
        let flags = reply.payload.get(8..12).map_or(Ok(0), u32_of)?;
        let has_flag = |flag: libc::c_int| flags & flag as u32 != 0;
        let mut link = Self {
            index: reply.link_index().ok_or("a link without an index")?,
            name: String::new(),
            alias: None,
            kind: Kind::Device,
            mac: None,
            mtu: 0,
            master: None,
            port: None,
            is_up: has_flag(libc::IFF_UP),
            state: OperState::Unknown,
            is_promiscuous: has_flag(libc::IFF_PROMISC),
            parent: None,
            accept_ra: None,
            is_ipv6_off: false,
            is_ipv4_forwarding_off: false,
        };
        let mut netns = None;
        for attribute in reply.attributes(LINK_HEADER) {
            let (number, value) = attribute?;
            match number {
                libc::IFLA_IFNAME => link.name = text_of(value),
                libc::IFLA_IFALIAS => link.alias = Some(text_of(value)),
                libc::IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
                libc::IFLA_MTU => link.mtu = u32_of(value)?,
                libc::IFLA_MASTER => link.master = Some(u32_of(value)?),
                libc::IFLA_OPERSTATE => link.state = OperState::from_number(u8_of(value)?),
                libc::IFLA_LINK => {
                    let index = u32_of(value)?;
                    link.parent = Some(Parent { index, netns: None }).filter(|_| index != 0);
                }
                libc::IFLA_LINK_NETNSID => netns = Some(i32_of(value)?),
                libc::IFLA_LINKINFO => link.parse_info(value)?,
                libc::IFLA_AF_SPEC => link.parse_families(value)?,
                _ => {}
            }
        }
        if let Some(parent) = &mut link.parent {
            parent.netns = netns;
        }
        Ok(link)
    }

    fn parse_families(&mut self, families: &[u8]) -> Result<(), DecodeError> {
        for family in attributes_of(families) {
            let (number, settings) = family?;
            for attribute in attributes_of(settings) {
                match (i32::from(number), attribute?) {
                    (libc::AF_INET, (IFLA_INET_CONF, values)) => {
                        let forwarding = setting(values, IPV4_FORWARDING)?;
                        self.is_ipv4_forwarding_off = forwarding == Some(0);
                    }
                    (libc::AF_INET6, (IFLA_INET6_CONF, values)) => {
                        self.accept_ra = setting(values, ACCEPT_RA)?;
                        self.is_ipv6_off = setting(values, DISABLE_IPV6)? == Some(1);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn parse_info(&mut self, info: &[u8]) -> Result<(), DecodeError> {
        let (mut kind, mut data, mut is_port, mut port) = (None, &[][..], false, &[][..]);
        for attribute in attributes_of(info) {
            let (number, value) = attribute?;
            match number {
                libc::IFLA_INFO_KIND => kind = Some(text_of(value)),
                libc::IFLA_INFO_DATA => data = value,
                libc::IFLA_INFO_SLAVE_KIND => is_port = text_of(value) == "bridge",
                libc::IFLA_INFO_SLAVE_DATA => port = value,
                _ => {}
            }
        }
        if is_port {
            self.port = Some(BridgePort::parse(port)?);
        }
        if let Some(kind) = kind {
            self.kind = Kind::parse(kind, data)?;
        }
        Ok(())
    }

    /// Whether frames can pass: what Go's bridge plugin waits for.
    pub fn is_operational(&self) -> bool {
        self.state == OperState::Up
    }
}

impl Kind {
    /// The kernel's name for it; `device` for what was not made.
    pub fn name(&self) -> &str {
        match self {
            Self::Bridge { .. } => "bridge",
            Self::Veth => "veth",
            Self::Ipvlan(_) => "ipvlan",
            Self::Macvlan(_) => "macvlan",
            Self::Vlan(_) => "vlan",
            Self::Other(name) => name,
            Self::Device => "device",
        }
    }

    fn parse(name: String, data: &[u8]) -> Result<Self, DecodeError> {
        let (mut vlan_filtering, mut default_pvid, mut mode) = (false, 0, None);
        let (mut vlan, mut is_8021q) = (None, false);
        let (is_bridge, is_vlan) = (name == "bridge", name == "vlan");
        for attribute in attributes_of(data) {
            match attribute? {
                (IFLA_BR_VLAN_FILTERING, value) if is_bridge => vlan_filtering = u8_of(value)? != 0,
                (IFLA_BR_VLAN_DEFAULT_PVID, value) if is_bridge => default_pvid = u16_of(value)?,
                (IFLA_IPVLAN_MODE, value) if name == "ipvlan" => mode = Some(u16_of(value)?.into()),
                (IFLA_MACVLAN_MODE, value) if name == "macvlan" => mode = Some(u32_of(value)?),
                (IFLA_VLAN_ID, value) if is_vlan => vlan = Some(u16_of(value)?),
                (IFLA_VLAN_PROTOCOL, value) if is_vlan => is_8021q = value == TAGS_OF_8021Q,
                _ => {}
            }
        }
        Ok(match name.as_str() {
            "bridge" => Self::Bridge {
                vlan_filtering,
                default_pvid,
            },
            "veth" => Self::Veth,
            "ipvlan" => Self::Ipvlan(match mode {
                Some(0) => Some(IpvlanMode::L2),
                Some(1) => Some(IpvlanMode::L3),
                Some(2) => Some(IpvlanMode::L3s),
                _ => None,
            }),
            "macvlan" => Self::Macvlan(match mode {
                Some(1) => Some(MacvlanMode::Private),
                Some(2) => Some(MacvlanMode::Vepa),
                Some(4) => Some(MacvlanMode::Bridge),
                Some(8) => Some(MacvlanMode::Passthru),
                _ => None,
            }),
            "vlan" => Self::Vlan(vlan.filter(|_| is_8021q)),
            _ => Self::Other(name),
        })
    }
}

/// One of a link's settings, each of which has four bytes; `None` if the kernel has not so many.
fn setting(values: &[u8], position: usize) -> Result<Option<i32>, DecodeError> {
    let value = values.get(position * 4..position * 4 + 4);
    value.map(i32_of).transpose()
}

impl BridgePort {
    fn parse(data: &[u8]) -> Result<Self, DecodeError> {
        let mut port = Self {
            hairpin: false,
            isolated: false,
            learning: false,
            is_forwarding: false,
        };
        for attribute in attributes_of(data) {
            match attribute? {
                (IFLA_BRPORT_MODE, value) => port.hairpin = u8_of(value)? != 0,
                (IFLA_BRPORT_ISOLATED, value) => port.isolated = u8_of(value)? != 0,
                (IFLA_BRPORT_LEARNING, value) => port.learning = u8_of(value)? != 0,
                (IFLA_BRPORT_STATE, value) => port.is_forwarding = u8_of(value)? == FORWARDING,
                _ => {}
            }
        }
        Ok(port)
    }
}

impl OperState {
    fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Unknown,
            2 => Self::Down,
            3 => Self::LowerLayerDown,
            5 => Self::Dormant,
            6 => Self::Up,
            other => Self::Other(other),
        }
    }
}

impl IpvlanMode {
    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        }
    }
}

impl MacvlanMode {
    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Bridge => "bridge",
            Self::Passthru => "passthru",
        }
    }
}

impl fmt::Display for IpvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MacvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IpvlanMode {
    type Err = UnknownMode;

    fn from_str(mode: &str) -> Result<Self, UnknownMode> {
        let modes = [Self::L2, Self::L3, Self::L3s];
        let found = modes.into_iter().find(|known| known.as_str() == mode);
        found.ok_or_else(|| UnknownMode {
            mode: mode.to_owned(),
            known: "l2, l3, l3s",
        })
    }
}

impl FromStr for MacvlanMode {
    type Err = UnknownMode;

    fn from_str(mode: &str) -> Result<Self, UnknownMode> {
        let modes = [Self::Private, Self::Vepa, Self::Bridge, Self::Passthru];
        let found = modes.into_iter().find(|known| known.as_str() == mode);
        found.ok_or_else(|| UnknownMode {
            mode: mode.to_owned(),
            known: "private, vepa, bridge, passthru",
        })
    }
}
