//! Links: reading the kernel's messages about them, and the start of each message about one.
//!
//! ```text
//!  0       1       2       4       8       12      16
//! +-------+-------+-------+-------+-------+-------+------------- - -
//! | family| 0     | type  | index | flags | mask  | attributes         struct ifinfomsg
//! +-------+-------+-------+-------+-------+-------+------------- - -
//! ```
//!
//! In a request, `mask` selects the flags (`IFF_*`) to change.

use std::ffi::c_int;

use nix::libc;

use crate::attributes::{Attributes, Malformed, i32_of, read, text_of, u8_of, u16_of, u32_of};
use crate::uapi::{
    self, BR_STATE_FORWARDING, IFLA_BR_VLAN_DEFAULT_PVID, IFLA_BR_VLAN_FILTERING,
    IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LEARNING, IFLA_BRPORT_MODE, IFLA_BRPORT_STATE,
    IFLA_INET_CONF, IFLA_INET6_CONF, IFLA_IPVLAN_MODE, IFLA_MACVLAN_MODE, IFLA_VLAN_ID,
    IFLA_VLAN_PROTOCOL,
};
use crate::{IpvlanMode, KernelMessage, Mac, MacvlanMode};

/// The length of `struct ifinfomsg`.
pub(crate) const LINK_HEADER: usize = 16;

// The indexes of settings among a link's: from 1 for IPv4 (linux/ip.h), from 0 for IPv6
// (linux/ipv6.h).
const IPV4_FORWARDING: usize = 0;
const ACCEPT_RA: usize = 3;
const DISABLE_IPV6: usize = 26;

/// The tags of IEEE 802.1Q, in network byte order.
const TAGS_OF_8021Q: [u8; 2] = (libc::ETH_P_8021Q as u16).to_be_bytes();

/// `struct ifinfomsg` of a message to the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkHeader {
    family: u8,
    index: u32,
    flags: u32,
    mask: u32,
}

impl LinkHeader {
    /// For a link by its index.
    pub(crate) fn of(index: u32) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }

    /// For a family (`AF_*`).
    pub(crate) fn in_family(self, family: c_int) -> Self {
        Self {
            family: uapi::family(family),
            ..self
        }
    }

    /// Sets a flag (`IFF_*`), or clears it. `None` leaves it as it is.
    pub(crate) fn set(&mut self, flag: c_int, is_on: Option<bool>) {
        let Some(is_on) = is_on else { return };
        let flag = flag.cast_unsigned();
        self.mask |= flag;
        if is_on {
            self.flags |= flag;
        }
    }

    /// The start of the message.
    pub(crate) fn attributes(self) -> Attributes {
        let (index, flags, mask) = (self.index, self.flags, self.mask);
        let numbers = [index, flags, mask].map(u32::to_ne_bytes);
        Attributes::after(&[&[self.family, 0, 0, 0][..], numbers.as_flattened()].concat())
    }
}

/// A whole message about a link that needs only its index.
pub(crate) fn message_about(index: u32) -> Attributes {
    LinkHeader::of(index).attributes()
}

/// A network interface as the kernel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name in its namespace. Requests also find it by its alternative names (ip-link(8),
    /// `altname`).
    pub name: String,
    /// Its alias (ip-link(8)).
    pub alias: Option<String>,
    /// Its kind.
    pub kind: LinkKind,
    /// Its Ethernet address, if it has one.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The index of the bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// Its settings as a bridge's port, if it is one.
    pub port: Option<BridgePort>,
    /// Whether it was set up (`IFF_UP`); it may have no carrier.
    pub is_up: bool,
    /// Its operational state.
    pub state: OperState,
    /// Whether a program has set promiscuous mode. That of a bridge's port, which always receives
    /// all packets, does not count.
    pub is_promiscuous: bool,
    /// The link that it belongs to: a veth's other end, the parent of an ipvlan or macvlan.
    pub parent: Option<Parent>,
    /// `accept_ra`: 0 if its namespace ignores router advertisements on it, 1 if it accepts them
    /// unless it forwards, 2 if it always accepts them. `None` if the link has no IPv6.
    pub accept_ra: Option<i32>,
    /// Whether the kernel has IPv6 and it is switched off on the link (`disable_ipv6`).
    pub is_ipv6_off: bool,
    /// Whether its namespace does not forward IPv4 packets that come in by it (`forwarding`),
    /// whatever the value of `ip_forward`.
    pub is_ipv4_forwarding_off: bool,
}

/// The link that another one belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its index in its own namespace.
    pub index: u32,
    /// The ID of that namespace in the namespace of the link itself; `None` if it is the same
    /// namespace.
    pub netns: Option<i32>,
}

/// The kind of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge {
        /// Whether it filters VLANs.
        vlan_filtering: bool,
        /// The VLAN that each new port becomes a member of; 0 for none.
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
    /// Another kind that software creates, by the kernel's name for it: `vxlan`.
    Other(String),
    /// A link that was not created by a request: hardware, or `lo`.
    Device,
}

/// The settings of a bridge's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// Whether frames may leave by the port by which they came in (hairpin mode).
    pub hairpin: bool,
    /// Whether frames to other isolated ports are dropped.
    pub isolated: bool,
    /// Whether the bridge learns Ethernet addresses from it.
    pub learning: bool,
    /// Whether it forwards: it is up and the spanning tree does not block it.
    pub is_forwarding: bool,
}

/// The operational state of a link (RFC 2863).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperState {
    /// The driver does not report it: `lo`.
    Unknown,
    /// It is down, or has no carrier.
    Down,
    /// Its parent is down.
    LowerLayerDown,
    /// It waits for something, such as authentication.
    Dormant,
    /// It is up and has a carrier.
    Up,
    /// Another state, by its number.
    Other(u8),
}

impl Link {
    pub(crate) fn parse(reply: &KernelMessage<'_>) -> Result<Self, Malformed> {
        let flags = reply.payload.get(8..12).map_or(Ok(0), u32_of)?;
        let has_flag = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
        let mut link = Self {
            index: reply.link_index().ok_or(Malformed("a link has no index"))?,
            name: String::new(),
            alias: None,
            kind: LinkKind::Device,
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

    fn parse_families(&mut self, families: &[u8]) -> Result<(), Malformed> {
        for family in read(families) {
            let (number, settings) = family?;
            for attribute in read(settings) {
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

    fn parse_info(&mut self, info: &[u8]) -> Result<(), Malformed> {
        let (mut kind, mut data, mut is_port, mut port) = (None, &[][..], false, &[][..]);
        for attribute in read(info) {
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
            self.kind = LinkKind::parse(kind, data)?;
        }
        Ok(())
    }

    /// Whether frames can pass: the state that Go's bridge plugin waits for.
    pub fn is_operational(&self) -> bool {
        self.state == OperState::Up
    }
}

impl LinkKind {
    /// The kernel's name for it; `device` for a link that nobody has created.
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

    fn parse(name: String, data: &[u8]) -> Result<Self, Malformed> {
        let (mut vlan_filtering, mut default_pvid) = (false, 0);
        let (mut vlan, mut is_8021q) = (None, false);
        let (mut ipvlan, mut macvlan) = (None, None);
        let (is_bridge, is_vlan) = (name == "bridge", name == "vlan");
        for attribute in read(data) {
            match attribute? {
                (IFLA_BR_VLAN_FILTERING, value) if is_bridge => vlan_filtering = u8_of(value)? != 0,
                (IFLA_BR_VLAN_DEFAULT_PVID, value) if is_bridge => default_pvid = u16_of(value)?,
                (IFLA_IPVLAN_MODE, value) if name == "ipvlan" => {
                    ipvlan = IpvlanMode::of_number(u16_of(value)?);
                }
                (IFLA_MACVLAN_MODE, value) if name == "macvlan" => {
                    macvlan = MacvlanMode::of_number(u32_of(value)?);
                }
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
            "ipvlan" => Self::Ipvlan(ipvlan),
            "macvlan" => Self::Macvlan(macvlan),
            "vlan" => Self::Vlan(vlan.filter(|_| is_8021q)),
            _ => Self::Other(name),
        })
    }
}

/// One of a link's settings, which have four bytes each; `None` if the kernel sends fewer.
fn setting(values: &[u8], position: usize) -> Result<Option<i32>, Malformed> {
    let value = values.get(position * 4..position * 4 + 4);
    value.map(i32_of).transpose()
}

impl BridgePort {
    fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let mut port = Self {
            hairpin: false,
            isolated: false,
            learning: false,
            is_forwarding: false,
        };
        for attribute in read(data) {
            match attribute? {
                (IFLA_BRPORT_MODE, value) => port.hairpin = u8_of(value)? != 0,
                (IFLA_BRPORT_ISOLATED, value) => port.isolated = u8_of(value)? != 0,
                (IFLA_BRPORT_LEARNING, value) => port.learning = u8_of(value)? != 0,
                (IFLA_BRPORT_STATE, value) => {
                    port.is_forwarding = u8_of(value)? == BR_STATE_FORWARDING;
                }
                _ => {}
            }
        }
        Ok(port)
    }
}

impl OperState {
    fn from_number(number: u8) -> Self {
        match c_int::from(number) {
            libc::IF_OPER_UNKNOWN => Self::Unknown,
            libc::IF_OPER_DOWN => Self::Down,
            libc::IF_OPER_LOWERLAYERDOWN => Self::LowerLayerDown,
            libc::IF_OPER_DORMANT => Self::Dormant,
            libc::IF_OPER_UP => Self::Up,
            _ => Self::Other(number),
        }
    }
}
