//! The name of the link that a request is about, for the words of an error.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::route::RouteAttribute;

use crate::{LinkRef, NetlinkError, Rtnetlink};

/// Stands in a request's words for the link's name. Requests know a link by its index; its name is
/// looked up only when the kernel refuses. No name of a link and no path has a null byte in it.
pub(crate) const LINK: char = '\0';

impl Rtnetlink {
    /// Puts the name of the link that a request was about into the words of its refusal, or its
    /// index if the link is gone.
    pub(crate) fn name_link(
        &mut self,
        error: NetlinkError,
        payload: &RouteNetlinkMessage,
    ) -> NetlinkError {
        match error {
            NetlinkError::Refused { what, errno, text } if what.contains(LINK) => {
                let subject =
                    index_in(payload).map_or_else(String::new, |index| self.name_of(index));
                NetlinkError::Refused {
                    what: what.replace(LINK, &subject),
                    errno,
                    text,
                }
            }
            error => error,
        }
    }

    /// A link's name, or its index if there is no such link any more.
    pub(crate) fn name_of(&mut self, index: u32) -> String {
        match self.perform_and_read(&[], LinkRef::Index(index)) {
            Ok(link) => link.name,
            Err(_) => index.to_string(),
        }
    }
}

/// The index of the link that a message is about: of a new child, its parent's.
fn index_in(payload: &RouteNetlinkMessage) -> Option<u32> {
    match payload {
        RouteNetlinkMessage::NewLink(message)
        | RouteNetlinkMessage::DelLink(message)
        | RouteNetlinkMessage::SetLink(message)
        | RouteNetlinkMessage::GetLink(message) => {
            let parent = message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    LinkAttribute::Link(index) | LinkAttribute::Controller(index) => Some(*index),
                    _ => None,
                });
            Some(message.header.index)
                .filter(|index| *index != 0)
                .or(parent)
        }
        RouteNetlinkMessage::NewAddress(message)
        | RouteNetlinkMessage::DelAddress(message)
        | RouteNetlinkMessage::GetAddress(message) => Some(message.header.index),
        RouteNetlinkMessage::NewRoute(message) | RouteNetlinkMessage::DelRoute(message) => message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            }),
        _ => None,
    }
}
