//! VLANs of bridge ports: messages about links of the family `AF_BRIDGE`, with an attribute for
//! each VLAN (`struct bridge_vlan_info`: flags and number, two bytes each), and two for a range.

use std::ops::RangeInclusive;

use nix::libc;

use crate::attributes::{Attributes, Malformed, read, u16_of};
use crate::link::{LINK_HEADER, LinkHeader};
use crate::uapi::{
    BRIDGE_FLAGS_SELF, BRIDGE_VLAN_INFO_PVID, BRIDGE_VLAN_INFO_RANGE_BEGIN,
    BRIDGE_VLAN_INFO_RANGE_END, BRIDGE_VLAN_INFO_UNTAGGED, IFLA_BRIDGE_FLAGS,
    IFLA_BRIDGE_VLAN_INFO,
};
use crate::{Answer, KernelMessage, KernelRequest};

/// VLANs of a bridge's port, or of the bridge itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortVlans {
    /// Their numbers, 1 to 4094.
    pub ids: RangeInclusive<u16>,
    /// Whether incoming untagged frames belong to it (PVID); only for a single VLAN.
    pub is_pvid: bool,
    /// Whether its frames leave untagged.
    pub is_untagged: bool,
}

/// The link whose VLANs they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanOwner {
    /// A bridge's port, by its index.
    Port(u32),
    /// A bridge as the interface that its own namespace uses, by its index.
    Bridge(u32),
}

impl PortVlans {
    /// The VLAN of untagged frames, in both directions.
    pub fn access(id: u16) -> Self {
        Self {
            ids: id..=id,
            is_pvid: true,
            is_untagged: true,
        }
    }

    /// VLANs that are tagged in both directions.
    pub fn tagged(ids: RangeInclusive<u16>) -> Self {
        Self {
            ids,
            is_pvid: false,
            is_untagged: false,
        }
    }

    fn write(&self, to: Attributes) -> Attributes {
        let mut flags = 0;
        if self.is_pvid {
            flags |= BRIDGE_VLAN_INFO_PVID;
        }
        if self.is_untagged {
            flags |= BRIDGE_VLAN_INFO_UNTAGGED;
        }
        let entry = |to: Attributes, more, id| {
            let info = [flags | more, id].map(u16::to_ne_bytes);
            to.bytes(IFLA_BRIDGE_VLAN_INFO, info.as_flattened())
        };
        let (first, last) = (*self.ids.start(), *self.ids.end());
        if first == last {
            return entry(to, 0, first);
        }
        let begun = entry(to, BRIDGE_VLAN_INFO_RANGE_BEGIN, first);
        entry(begun, BRIDGE_VLAN_INFO_RANGE_END, last)
    }
}

impl VlanOwner {
    /// The link's index.
    pub(crate) fn index(self) -> u32 {
        let (Self::Port(index) | Self::Bridge(index)) = self;
        index
    }

    /// The kind of the link, in words.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Port(_) => "bridge port",
            Self::Bridge(_) => "bridge",
        }
    }
}

fn header(link: u32) -> LinkHeader {
    LinkHeader::of(link).in_family(libc::AF_BRIDGE)
}

/// The message that adds or removes VLANs.
pub(crate) fn message(owner: VlanOwner, vlans: &[PortVlans]) -> Attributes {
    // By default, the kernel applies the change to the port's bridge.
    let of_bridge = matches!(owner, VlanOwner::Bridge(_)).then_some(BRIDGE_FLAGS_SELF);
    let start = Attributes::new().with(of_bridge, |to, flags| to.u16(IFLA_BRIDGE_FLAGS, flags));
    let spec = vlans.iter().fold(start, |to, vlans| vlans.write(to));
    header(owner.index())
        .attributes()
        .nest_unmarked(libc::IFLA_AF_SPEC, spec)
}

/// The request for the VLANs of all ports of all bridges. Not every kernel has one for a single
/// port.
pub(crate) fn list_request() -> KernelRequest {
    const ANY: u32 = 0;
    let ranges = libc::RTEXT_FILTER_BRVLAN_COMPRESSED.cast_unsigned();
    let payload = header(ANY).attributes().u32(libc::IFLA_EXT_MASK, ranges);
    KernelRequest {
        what: "list VLANs".to_owned(),
        message_type: libc::RTM_GETLINK,
        flags: 0,
        payload: payload.into_bytes(),
        answer: Answer::Message,
    }
}

pub(crate) fn parse(reply: &KernelMessage<'_>) -> Result<Vec<PortVlans>, Malformed> {
    let mut vlans = Vec::new();
    let mut begin = None;
    for attribute in reply.attributes(LINK_HEADER) {
        let (libc::IFLA_AF_SPEC, spec) = attribute? else {
            continue;
        };
        for attribute in read(spec) {
            let (IFLA_BRIDGE_VLAN_INFO, info) = attribute? else {
                continue;
            };
            let flags = u16_of(info.get(..2).unwrap_or_default())?;
            let id = u16_of(info.get(2..).unwrap_or_default())?;
            if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
                begin = Some(id);
                continue;
            }
            vlans.push(PortVlans {
                ids: begin.take().unwrap_or(id)..=id,
                is_pvid: flags & BRIDGE_VLAN_INFO_PVID != 0,
                is_untagged: flags & BRIDGE_VLAN_INFO_UNTAGGED != 0,
            });
        }
    }
    Ok(vlans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_message::reply_with;

    // As iproute2 sends it for `bridge vlan add dev … vid 100 pvid untagged` and `… vid 200-210`.
    // Not every kernel that tests run on supports VLANs.
    #[test]
    fn what_is_sent_can_be_read() {
        let vlans = [PortVlans::access(100), PortVlans::tagged(200..=210)];
        let payload = message(VlanOwner::Port(7), &vlans).into_bytes();
        let (header, attributes) = payload.split_at(LINK_HEADER);
        let about = [&[7, 0, 0, 0][..], &7_u32.to_ne_bytes(), &[0; 8]].concat();
        assert_eq!(header, about);
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
        assert_eq!(parse(&reply_with(&payload)).unwrap(), vlans);
    }
}
