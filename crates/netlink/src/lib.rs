//! The edge to the kernel: links, addresses, routes, network namespaces and the settings below
//! `/proc/sys/net`.
//!
//! A plugin lives for a millisecond, so the number of messages matters. A [`Change`] is a value
//! that can be printed and compared; any number of them travel in one datagram, of which only the
//! last is acknowledged, and [`Rtnetlink::apply_each`] returns the result of each. The same
//! datagram can read a link ([`Rtnetlink::apply_and_read`]). New links are created in their
//! namespace, in one message: moving a link between namespaces takes twenty milliseconds. Freeing a
//! removed link takes as long, and [`Rtnetlink::remove_links`] does not wait for it.
//!
//! A [`Netns`] is an open namespace. An [`Rtnetlink`] is opened in one and can be used from any.
//! Below it is [`Socket`], which is independent of the messages' contents and carries nftables'
//! messages too.
//!
//! ```text
//! rtnetlink, removal, wait, advertised, towards what can be asked for
//! change, new_link, veth, sub_interface         messages that change something
//! link, link_change, address, route, rule, vlan values, and their form in messages
//! counters, neighbour, peer                     values that are only read
//! socket, release                               exchanges, lists, events; closing without waiting
//! request, kernel_message                       messages to and from the kernel
//! traffic                                       qdiscs, classes and filters
//! attributes, uapi                              attributes, and the names of their numbers
//! answers                                       what reads messages, for the program `fuzz`
//! ```

mod address;
mod advertised;
#[cfg(feature = "fuzz")]
pub mod answers;
pub mod attributes;
mod change;
mod counters;
mod error;
mod kernel_message;
mod link;
mod link_change;
mod mac;
#[cfg(test)]
mod messages;
mod neighbour;
mod new_link;
mod peer;
mod release;
mod removal;
mod request;
mod route;
mod rtnetlink;
mod rule;
mod socket;
mod sub_interface;
pub mod sysctl;
mod towards;
pub mod traffic;
mod uapi;
mod veth;
mod vlan;
mod wait;

pub use address::{Family, Given, LinkAddress, OWN_PROTOCOL};
pub use change::Change;
pub use counters::Counters;
pub use error::NetlinkError;
pub use kernel_message::KernelMessage;
pub use link::{BridgePort, Link, LinkKind, OperState, Parent};
pub use link_change::{LinkChange, PortChange};
pub use mac::{InvalidMac, Mac, random_name};
pub use neighbour::{Neighbour, Reachability};
pub use netns::{Netns, NetnsError, NetnsId, mounted, number_in};
pub use new_link::NewLink;
pub use request::{Answer, KernelRequest};
pub use route::{Existing, MAIN_TABLE, Route};
pub use rtnetlink::{Applied, LinkRef, Rtnetlink};
pub use rule::SourceRule;
pub use socket::{DUMP_ATTEMPTS, Protocol, RequestOutcome, Socket};
pub use sub_interface::{IpvlanMode, MacvlanMode, NewSubInterface, SubInterface, UnknownMode};
pub use veth::{NewPeer, NewVeth, Peer, Veth};
pub use vlan::{PortVlans, VlanOwner};
