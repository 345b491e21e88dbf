//! Changes of links and bridge ports.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};

use crate::subject::LINK;
use crate::{Change, Mac};

/// What to change of a link. `None` leaves it as it is, and so does [`LinkChange::default`] with
/// everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkChange<'a> {
    /// Its name. It must be down, unless this very change sets it up.
    pub name: Option<&'a str>,
    /// Its alias, at most 254 bytes.
    pub alias: Option<&'a str>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The index of the bridge it becomes a port of; 0 for none.
    pub master: Option<u32>,
    /// Whether it takes all packets.
    pub is_promiscuous: Option<bool>,
    /// Whether it is set up.
    pub is_up: Option<bool>,
    /// Whether it heeds VLANs, as a bridge, which it must be.
    pub vlan_filtering: Option<bool>,
    /// What it is set to as a bridge's port, which it must be already.
    pub port: PortChange,
}

/// What to change of a bridge's port. `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortChange {
    /// Whether frames may go out where they came in.
    pub hairpin: Option<bool>,
    /// Whether frames to other isolated ports are dropped.
    pub isolated: Option<bool>,
    /// Whether the bridge learns addresses from it.
    pub learning: Option<bool>,
}

impl LinkChange<'_> {
    /// Sets it up, or down.
    pub fn up(is_up: bool) -> Self {
        Self {
            is_up: Some(is_up),
            ..Self::default()
        }
    }

    fn info(&self) -> Vec<LinkInfo> {
        let mut info = Vec::new();
        if let Some(filters) = self.vlan_filtering {
            let data = InfoData::Bridge(vec![InfoBridge::VlanFiltering(filters)]);
            info.extend([LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(data)]);
        }
        if !self.port.is_empty() {
            info.extend(self.port.info());
        }
        info
    }
}

impl PortChange {
    /// Whether everything stays as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn info(&self) -> [LinkInfo; 2] {
        let options = [
            self.hairpin.map(InfoBridgePort::HairpinMode),
            self.isolated.map(InfoBridgePort::Isolated),
            self.learning.map(InfoBridgePort::Learning),
        ];
        let options = options.into_iter().flatten().collect();
        [
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(options)),
        ]
    }
}

impl Change<'_> {
    /// Changes a link, all at once.
    pub fn change_link(index: u32, change: &LinkChange<'_>) -> Self {
        let mut message = LinkMessage::default();
        let header = &mut message.header;
        header.index = index;
        let flags = [
            (LinkFlags::Up, change.is_up),
            (LinkFlags::Promisc, change.is_promiscuous),
        ];
        for (flag, value) in flags {
            let Some(value) = value else { continue };
            header.change_mask |= flag;
            header.flags.set(flag, value);
        }
        let attributes = &mut message.attributes;
        attributes.extend(
            change
                .name
                .map(|name| LinkAttribute::IfName(name.to_owned())),
        );
        attributes.extend(
            change
                .alias
                .map(|alias| LinkAttribute::IfAlias(alias.to_owned())),
        );
        attributes.extend(change.mtu.map(LinkAttribute::Mtu));
        attributes.extend(change.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
        attributes.extend(change.master.map(LinkAttribute::Controller));
        let info = change.info();
        if !info.is_empty() {
            attributes.push(LinkAttribute::LinkInfo(info));
        }
        // SETLINK does not know a bridge's and a port's settings. NEWLINK without leave to create
        // changes what is there.
        let what = format!("change link {LINK}");
        Self::new(what, RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Gives a link an alias, at most 254 bytes. Unlike all other changes, this one finds the link
    /// by its name.
    pub(crate) fn set_alias(name: &str, alias: &str) -> Self {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::IfAlias(alias.to_owned()),
        ];
        let what = format!("give link {name} the alias {alias}");
        Self::new(what, RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Removes a link that was made by software; of a pair, both ends.
    pub fn delete_link(index: u32) -> Self {
        let mut message = LinkMessage::default();
        message.header.index = index;
        let what = format!("delete link {LINK}");
        Self::new(what, RouteNetlinkMessage::DelLink(message), 0)
    }
}
