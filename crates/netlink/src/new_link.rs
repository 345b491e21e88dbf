//! Creating links.

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::{Change, Mac, Netns};

/// What every link can be made with. [`NewLink::named`] leaves all of it to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLink<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its MTU in bytes; the kind's default if `None`.
    pub mtu: Option<u32>,
    /// Its Ethernet address; a random one if `None`.
    pub mac: Option<Mac>,
    /// The index of the bridge it becomes a port of.
    pub master: Option<u32>,
    /// Whether it is set up at once.
    pub is_up: bool,
}

impl<'a> NewLink<'a> {
    /// A link with this name that stays down.
    pub fn named(name: &'a str) -> Self {
        Self {
            name,
            mtu: None,
            mac: None,
            master: None,
            is_up: false,
        }
    }

    pub(crate) fn message(&self, info: Vec<LinkInfo>) -> LinkMessage {
        let mut message = LinkMessage::default();
        if self.is_up {
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
        }
        let attributes = &mut message.attributes;
        attributes.push(LinkAttribute::IfName(self.name.to_owned()));
        attributes.extend(self.mtu.map(LinkAttribute::Mtu));
        attributes.extend(self.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
        attributes.extend(self.master.map(LinkAttribute::Controller));
        if !info.is_empty() {
            attributes.push(LinkAttribute::LinkInfo(info));
        }
        message
    }
}

impl<'a> Change<'a> {
    /// Makes a bridge, with whether it heeds VLANs; as the kernel does it if `None`.
    ///
    /// Without an Ethernet address of its own it takes one of its ports', and changes it as they
    /// come and go.
    pub fn create_bridge(link: &NewLink<'_>, vlan_filtering: Option<bool>) -> Self {
        let data = vlan_filtering.map(InfoBridge::VlanFiltering);
        let info = vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(data.into_iter().collect())),
        ];
        create(format!("create bridge {}", link.name), link.message(info))
    }

    /// Makes a pair of links: one here, the other one at once in its namespace.
    ///
    /// The far one stays down and is no port, whatever `far` says: the kernel sets a link up before
    /// it is connected, which a veth refuses, and heeds no master there. Both names may be taken,
    /// with the same error.
    pub fn create_veth(near: &NewLink<'_>, far: &NewLink<'_>, far_netns: &'a Netns) -> Self {
        let far_end = NewLink {
            master: None,
            is_up: false,
            ..*far
        };
        let mut peer = far_end.message(Vec::new());
        let netns = far_netns.as_fd().as_raw_fd();
        peer.attributes.push(LinkAttribute::NetNsFd(netns));
        let info = vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ];
        let netns = far_netns.path().display();
        let what = format!("create veth {} with {} in {netns}", near.name, far.name);
        create(what, near.message(info))
    }
}

pub(crate) fn create<'a>(what: String, message: LinkMessage) -> Change<'a> {
    let message = RouteNetlinkMessage::NewLink(message);
    Change::new(what, message, NLM_F_CREATE | NLM_F_EXCL)
}
