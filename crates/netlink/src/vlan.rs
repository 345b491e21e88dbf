//! VLANs of bridge ports.

use std::ops::RangeInclusive;

use netlink_packet_core::DecodeError;
use netlink_packet_route::link::{
    AfSpecBridge, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags, LinkAttribute, LinkExtentMask,
    LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc;

use crate::link::LINK_HEADER;
use crate::reply::{Reply, attributes_of, u16_of};
use crate::subject::LINK;
use crate::{Answer, Change, Request};

// linux/if_bridge.h
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;

/// VLANs of a bridge's port, or of the bridge itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortVlans {
    /// Their numbers, 1 to 4094.
    pub ids: RangeInclusive<u16>,
    /// Whether frames without a VLAN belong to it when they come in; only for a single one.
    pub is_pvid: bool,
    /// Whether its frames go out without a VLAN.
    pub is_untagged: bool,
}

/// Whose VLANs they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanOwner {
    /// A bridge's port, by its index.
    Port(u32),
    /// A bridge as the interface that its own namespace uses, by its index.
    Bridge(u32),
}

impl PortVlans {
    /// The one that untagged frames belong to, in both directions.
    pub fn access(id: u16) -> Self {
        Self {
            ids: id..=id,
            is_pvid: true,
            is_untagged: true,
        }
    }

    /// Some that are tagged in both directions.
    pub fn tagged(ids: RangeInclusive<u16>) -> Self {
        Self {
            ids,
            is_pvid: false,
            is_untagged: false,
        }
    }

    fn attributes(&self) -> impl Iterator<Item = AfSpecBridge> {
        let (first, last) = (*self.ids.start(), *self.ids.end());
        let mut flags = BridgeVlanInfoFlags::empty();
        flags.set(BridgeVlanInfoFlags::Pvid, self.is_pvid);
        flags.set(BridgeVlanInfoFlags::Untagged, self.is_untagged);
        let entry = move |vid, more| {
            let flags = flags | more;
            AfSpecBridge::VlanInfo(BridgeVlanInfo { flags, vid })
        };
        let (begin, end) = if first == last {
            (BridgeVlanInfoFlags::empty(), None)
        } else {
            let end = entry(last, BridgeVlanInfoFlags::RangeEnd);
            (BridgeVlanInfoFlags::RangeBegin, Some(end))
        };
        std::iter::once(entry(first, begin)).chain(end)
    }
}

impl Change<'_> {
    /// Adds VLANs, in one message.
    pub fn add_vlans(owner: VlanOwner, vlans: &[PortVlans]) -> Self {
        let message = RouteNetlinkMessage::SetLink(message(owner, vlans));
        Self::new(format!("add VLANs to {}", owner.describe()), message, 0)
    }

    /// Removes VLANs, in one message. Those that are not there are no error.
    pub fn delete_vlans(owner: VlanOwner, vlans: &[PortVlans]) -> Self {
        let message = RouteNetlinkMessage::DelLink(message(owner, vlans));
        Self::new(
            format!("remove VLANs from {}", owner.describe()),
            message,
            0,
        )
    }
}

impl VlanOwner {
    fn index(self) -> u32 {
        let (Self::Port(index) | Self::Bridge(index)) = self;
        index
    }

    fn describe(self) -> String {
        match self {
            Self::Port(_) => format!("bridge port {LINK}"),
            Self::Bridge(_) => format!("bridge {LINK}"),
        }
    }
}

fn message(owner: VlanOwner, vlans: &[PortVlans]) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    message.header.index = owner.index();
    let mut spec = Vec::new();
    // A port's bridge is asked by default.
    if let VlanOwner::Bridge(_) = owner {
        spec.push(AfSpecBridge::Flags(BridgeFlag::LowerDev));
    }
    spec.extend(vlans.iter().flat_map(PortVlans::attributes));
    message.attributes.push(LinkAttribute::AfSpecBridge(spec));
    message
}

/// Asks for the VLANs of all ports of all bridges. There is no question for those of one that every
/// kernel knows.
pub(crate) fn list_request() -> Request<RouteNetlinkMessage> {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    let compressed = LinkExtentMask::BrvlanCompressed;
    message
        .attributes
        .push(LinkAttribute::ExtMask(vec![compressed]));
    Request {
        what: "list VLANs".to_owned(),
        payload: RouteNetlinkMessage::GetLink(message),
        flags: 0,
        answer: Answer::Message,
    }
}

pub(crate) fn parse(reply: &Reply<'_>) -> Result<Vec<PortVlans>, DecodeError> {
    let mut vlans = Vec::new();
    let mut begin = None;
    for attribute in reply.attributes(LINK_HEADER) {
        let (libc::IFLA_AF_SPEC, spec) = attribute? else {
            continue;
        };
        for attribute in attributes_of(spec) {
            let (IFLA_BRIDGE_VLAN_INFO, info) = attribute? else {
                continue;
            };
            let flags = u16_of(info.get(..2).unwrap_or_default())?;
            let flags = BridgeVlanInfoFlags::from_bits_retain(flags);
            let id = u16_of(info.get(2..).unwrap_or_default())?;
            if flags.contains(BridgeVlanInfoFlags::RangeBegin) {
                begin = Some(id);
                continue;
            }
            vlans.push(PortVlans {
                ids: begin.take().unwrap_or(id)..=id,
                is_pvid: flags.contains(BridgeVlanInfoFlags::Pvid),
                is_untagged: flags.contains(BridgeVlanInfoFlags::Untagged),
            });
        }
    }
    Ok(vlans)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;

    use super::*;

    // As iproute2 sends it for `bridge vlan add dev … vid 100 pvid untagged` and `… vid 200-210`.
    // Not every kernel that tests run on heeds VLANs.
    #[test]
    fn what_is_sent_can_be_read() {
        let vlans = [PortVlans::access(100), PortVlans::tagged(200..=210)];
        let message = message(VlanOwner::Port(7), &vlans);
        let mut attributes = vec![0; message.attributes.as_slice().buffer_len()];
        message.attributes.as_slice().emit(&mut attributes);
        let numbers = [
            28,
            26, // IFLA_AF_SPEC
            8,
            2,
            2 | 4,
            100, // PVID and untagged
            8,
            2,
            8,
            200, // the range's begin
            8,
            2,
            16,
            210, // and its end
        ];
        let expected: Vec<u8> = numbers.into_iter().flat_map(u16::to_ne_bytes).collect();
        assert_eq!(attributes, expected);

        let mut payload = vec![0; LINK_HEADER];
        payload.extend(attributes);
        let reply = Reply {
            message_type: 16,
            flags: 0,
            sequence: 0,
            payload: &payload,
        };
        assert_eq!(parse(&reply).unwrap(), vlans);
    }
}
