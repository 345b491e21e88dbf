//! The edge to the kernel: links, addresses, routes, network namespaces and the settings below
//! `/proc/sys/net`.
//!
//! A plugin lives for a millisecond, so what counts is how few messages it takes. A [`Change`] is a
//! value; any number of them travels in one datagram ([`Rtnetlink::perform`]), only the last is
//! acknowledged, and reading what a link has become can ride along
//! ([`Rtnetlink::perform_and_read`]). Both ends of a pair are made where they belong, in one
//! message: moving a link between namespaces takes twenty milliseconds. Removing one takes as long,
//! which is not waited for ([`Rtnetlink::remove_links`]).
//!
//! A [`Netns`] is an open namespace. An [`Rtnetlink`] is opened in one and works from anywhere.
//! Below it is [`Socket`], which knows nothing of what the messages are about, and so does for
//! nftables too.

mod address;
mod advertised;
pub mod attributes;
mod error;
mod link;
mod link_change;
mod mac;
mod new_link;
mod removal;
mod reply;
mod route;
mod rtnetlink;
mod rule;
mod socket;
mod sub_interface;
mod subject;
pub mod sysctl;
mod towards;
mod vlan;
mod wait;

pub use address::{Family, Given, LinkAddress};
pub use error::NetlinkError;
pub use link::{BridgePort, IpvlanMode, Kind, Link, MacvlanMode, OperState, Parent, UnknownMode};
pub use link_change::{LinkChange, PortChange};
pub use mac::{InvalidMac, Mac, random_name};
pub use netns::{Netns, NetnsError, NetnsId};
pub use new_link::NewLink;
pub use reply::Reply;
pub use route::{Existing, MAIN_TABLE, Route};
pub use rtnetlink::{Change, LinkRef, Rtnetlink};
pub use rule::SourceRule;
pub use socket::{Answer, Bytes, Protocol, Request, Socket};
pub use sub_interface::SubInterface;
pub use vlan::{PortVlans, VlanOwner};
