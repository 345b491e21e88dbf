//! Changing links and bridge ports.

use nix::libc;

use crate::Mac;
use crate::attributes::Attributes;
use crate::link::LinkHeader;
use crate::uapi::{
    IFLA_BR_VLAN_FILTERING, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LEARNING, IFLA_BRPORT_MODE,
};

/// A change of a link's properties. `None` leaves a property as it is; [`LinkChange::default`]
/// changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// Its name. It must be down, unless this very change sets it up.
    pub name: Option<String>,
    /// Its alias, at most 254 bytes.
    pub alias: Option<String>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The index of the bridge that it becomes a port of; 0 for none.
    pub master: Option<u32>,
    /// Whether it receives all packets.
    pub is_promiscuous: Option<bool>,
    /// Whether it is set up.
    pub is_up: Option<bool>,
    /// Whether it filters VLANs; only for a bridge.
    pub vlan_filtering: Option<bool>,
    /// Its settings as a bridge's port, which it must be already.
    pub port: PortChange,
}

/// A change of a bridge port's settings. `None` leaves a setting as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortChange {
    /// Whether frames may leave by the port by which they came in (hairpin mode).
    pub hairpin: Option<bool>,
    /// Whether frames to other isolated ports are dropped.
    pub isolated: Option<bool>,
    /// Whether the bridge learns Ethernet addresses from it.
    pub learning: Option<bool>,
}

impl LinkChange {
    /// Sets the link up, or down.
    pub fn up(is_up: bool) -> Self {
        Self {
            is_up: Some(is_up),
            ..Self::default()
        }
    }

    pub(crate) fn message(&self, link: u32) -> Attributes {
        let mut header = LinkHeader::of(link);
        header.set(libc::IFF_UP, self.is_up);
        header.set(libc::IFF_PROMISC, self.is_promiscuous);
        let info = self.info();
        header
            .attributes()
            .with(self.name.as_deref(), |to, name| {
                to.text(libc::IFLA_IFNAME, name)
            })
            .with(self.alias.as_deref(), |to, alias| {
                to.text(libc::IFLA_IFALIAS, alias)
            })
            .with(self.mtu, |to, mtu| to.u32(libc::IFLA_MTU, mtu))
            .with(self.mac, |to, mac| to.bytes(libc::IFLA_ADDRESS, &mac.0))
            .with(self.master, |to, master| to.u32(libc::IFLA_MASTER, master))
            .with(Some(info).filter(|info| !info.is_empty()), |to, info| {
                to.nest_unmarked(libc::IFLA_LINKINFO, info)
            })
    }

    fn info(&self) -> Attributes {
        let filtering = |to: Attributes, is_on| {
            let data = Attributes::new().u8(IFLA_BR_VLAN_FILTERING, u8::from(is_on));
            to.text(libc::IFLA_INFO_KIND, "bridge")
                .nest_unmarked(libc::IFLA_INFO_DATA, data)
        };
        let port = Some(self.port).filter(|port| !port.is_empty());
        Attributes::new()
            .with(self.vlan_filtering, filtering)
            .with(port, |to, port| {
                to.text(libc::IFLA_INFO_SLAVE_KIND, "bridge")
                    .nest_unmarked(libc::IFLA_INFO_SLAVE_DATA, port.data())
            })
    }
}

impl PortChange {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn data(self) -> Attributes {
        let flag = |kind| move |to: Attributes, is_on| to.u8(kind, u8::from(is_on));
        Attributes::new()
            .with(self.hairpin, flag(IFLA_BRPORT_MODE))
            .with(self.isolated, flag(IFLA_BRPORT_ISOLATED))
            .with(self.learning, flag(IFLA_BRPORT_LEARNING))
    }
}
