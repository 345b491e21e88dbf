//! Changes of links, addresses, routes and VLANs, as values.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use nix::libc;

use crate::attributes::Attributes;
use crate::request::{CREATE, EXCLUSIVE, REPLACE};
use crate::{
    Answer, Existing, Given, KernelRequest, LinkAddress, LinkChange, PortVlans, Route, VlanOwner,
    address, vlan,
};

/// A change of a link, an address, a route or a VLAN. [`Rtnetlink::apply`](crate::Rtnetlink::apply)
/// carries it out.
///
/// Links are named by their indexes. `Display` describes the change as it follows "cannot": `add
/// address 10.244.1.1/24 to link 7`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed until it is applied"]
pub enum Change {
    /// Changes properties of a link, all at once.
    SetLink {
        /// The link's index.
        link: u32,
        /// The properties.
        change: LinkChange,
    },
    /// Removes a link that was made by software; of a pair, both ends. The kernel acknowledges this
    /// only after 20 ms and more:
    /// [`Rtnetlink::remove_links`](crate::Rtnetlink::remove_links) does not wait for that.
    DeleteLink {
        /// The link's index.
        link: u32,
    },
    /// Adds an address to a link, and the route to the address's network.
    AddAddress {
        /// The link's index.
        link: u32,
        /// The address, with the length of its network's prefix.
        address: IpNetwork,
        /// How it is given.
        given: Given,
    },
    /// Changes the properties of a link's address.
    ReplaceAddress {
        /// The link's index.
        link: u32,
        /// The address, with the length of its network's prefix.
        address: IpNetwork,
        /// How it is given.
        given: Given,
    },
    /// Removes an address from a link.
    DeleteAddress {
        /// The link's index.
        link: u32,
        /// The address, with the length of its network's prefix.
        address: IpNetwork,
        /// The address of the other end, if it has one.
        peer: Option<IpAddr>,
    },
    /// Adds a route.
    AddRoute {
        /// The route.
        route: Route,
        /// What to do about another one to the same destination.
        existing: Existing,
    },
    /// Removes a route that matches all fields that are set.
    DeleteRoute {
        /// The route.
        route: Route,
    },
    /// Adds VLANs.
    AddVlans {
        /// The port or bridge.
        owner: VlanOwner,
        /// The VLANs.
        vlans: Vec<PortVlans>,
    },
    /// Removes VLANs. It is no error if they do not exist.
    DeleteVlans {
        /// The port or bridge.
        owner: VlanOwner,
        /// The VLANs.
        vlans: Vec<PortVlans>,
    },
}

impl Change {
    /// Adds an address to a link, and the route to its network. An IPv4 address gets its broadcast
    /// address too.
    ///
    /// Without `detect_duplicates` an IPv6 address can be used at once. IPv4 has no such detection.
    pub fn add_address(link: u32, address: IpNetwork, detect_duplicates: bool) -> Self {
        let given = if detect_duplicates {
            Given::plain(address)
        } else {
            Given::at_once(address)
        };
        Self::AddAddress {
            link,
            address,
            given,
        }
    }

    /// As [`Change::add_address`] without duplicate address detection, and with a protocol
    /// ([`Given::protocol`]).
    pub fn add_address_of(protocol: u8, link: u32, address: IpNetwork) -> Self {
        let given = Given {
            protocol,
            ..Given::at_once(address)
        };
        Self::AddAddress {
            link,
            address,
            given,
        }
    }

    /// Adds an address with all properties that it had on the link.
    pub fn restore_address(link: u32, address: &LinkAddress) -> Self {
        Self::AddAddress {
            link,
            address: address.network,
            given: address.given.clone(),
        }
    }

    /// Sets the protocol of an address ([`Given::protocol`]). Kernels before 5.18 ignore it.
    pub fn note_protocol(protocol: u8, link: u32, address: &LinkAddress) -> Self {
        Self::ReplaceAddress {
            link,
            address: address.network,
            given: Given {
                protocol,
                ..address.given.clone()
            },
        }
    }

    /// Removes a listed address from a link.
    pub fn delete_address(link: u32, address: &LinkAddress) -> Self {
        Self::DeleteAddress {
            link,
            address: address.network,
            peer: address.given.peer,
        }
    }

    /// The index of the change's link; `None` for a route without one.
    pub fn link(&self) -> Option<u32> {
        match self {
            Self::SetLink { link, .. }
            | Self::DeleteLink { link }
            | Self::AddAddress { link, .. }
            | Self::ReplaceAddress { link, .. }
            | Self::DeleteAddress { link, .. } => Some(*link),
            Self::AddRoute { route, .. } | Self::DeleteRoute { route } => route.link,
            Self::AddVlans { owner, .. } | Self::DeleteVlans { owner, .. } => Some(owner.index()),
        }
    }

    /// The text, with a name for the link.
    pub(crate) fn describe(&self, link: &str) -> String {
        match self {
            Self::SetLink { .. } => format!("change link {link}"),
            Self::DeleteLink { .. } => format!("delete link {link}"),
            Self::AddAddress { address, .. } | Self::ReplaceAddress { address, .. } => {
                format!("add address {address} to link {link}")
            }
            Self::DeleteAddress { address, .. } => {
                format!("remove address {address} from link {link}")
            }
            Self::AddRoute { route, existing } => {
                let verb = match existing {
                    Existing::Refuse | Existing::Join => "add",
                    Existing::Replace => "replace",
                };
                format!("{verb} {}", route.describe(link))
            }
            Self::DeleteRoute { route } => format!("remove {}", route.describe(link)),
            Self::AddVlans { owner, .. } => format!("add VLANs to {} {link}", owner.kind()),
            Self::DeleteVlans { owner, .. } => {
                format!("remove VLANs from {} {link}", owner.kind())
            }
        }
    }

    pub(crate) fn request(&self) -> KernelRequest {
        let (message_type, flags, attributes): (u16, u16, Attributes) = match self {
            // RTM_SETLINK does not support settings of a bridge and of its ports. RTM_NEWLINK
            // without `NLM_F_CREATE` changes an existing link.
            Self::SetLink { link, change } => (libc::RTM_NEWLINK, 0, change.message(*link)),
            Self::DeleteLink { link } => (libc::RTM_DELLINK, 0, crate::link::message_about(*link)),
            Self::AddAddress {
                link,
                address,
                given,
            } => {
                let message = address::message_to_give(*link, *address, given);
                (libc::RTM_NEWADDR, CREATE | EXCLUSIVE, message)
            }
            Self::ReplaceAddress {
                link,
                address,
                given,
            } => {
                let message = address::message_to_give(*link, *address, given);
                (libc::RTM_NEWADDR, CREATE | REPLACE, message)
            }
            Self::DeleteAddress {
                link,
                address,
                peer,
            } => {
                let scope = 0;
                let message = address::message(*link, *address, *peer, scope);
                (libc::RTM_DELADDR, 0, message)
            }
            Self::AddRoute { route, existing } => {
                let flags = match existing {
                    Existing::Refuse => CREATE | EXCLUSIVE,
                    Existing::Join => CREATE,
                    Existing::Replace => CREATE | REPLACE,
                };
                (libc::RTM_NEWROUTE, flags, route.message_to_add())
            }
            Self::DeleteRoute { route } => (libc::RTM_DELROUTE, 0, route.message_to_delete()),
            Self::AddVlans { owner, vlans } => (libc::RTM_SETLINK, 0, vlan::message(*owner, vlans)),
            Self::DeleteVlans { owner, vlans } => {
                (libc::RTM_DELLINK, 0, vlan::message(*owner, vlans))
            }
        };
        KernelRequest {
            what: self.to_string(),
            message_type,
            flags,
            payload: attributes.into_bytes(),
            answer: Answer::Nothing,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.link().map(|index| index.to_string());
        formatter.write_str(&self.describe(&index.unwrap_or_default()))
    }
}
