//! Neighbours: the MACs of addresses on a link.
//!
//! ```text
//!  0       1       2       4       8       10      11      12
//! +-------+-------+-------+-------+-------+-------+-------+------------- - -
//! | family| 0     | 0     | index | state | flags | type  | attributes         struct ndmsg
//! +-------+-------+-------+-------+-------+-------+-------+------------- - -
//! ```

use std::net::IpAddr;

use nix::libc;

use crate::attributes::{Attributes, Malformed, ip_of, u16_of};
use crate::{Answer, KernelMessage, KernelRequest, Mac};

/// The length of `struct ndmsg`.
const NEIGHBOUR_HEADER: usize = 12;

/// An entry of the kernel's neighbour table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The address.
    pub address: IpAddr,
    /// The MAC that answered for it last; `None` if none has.
    pub mac: Option<Mac>,
    /// The state.
    pub state: Reachability,
}

/// The state of a neighbour (RFC 4861, section 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// The kernel is resolving it.
    Incomplete,
    /// It answered a moment ago.
    Reachable,
    /// It has not answered for a while, and is probed again when it is needed.
    Stale,
    /// It has not answered.
    Failed,
    /// An operator has entered it.
    Permanent,
    /// Another state, by its number (`NUD_*`).
    Other(u16),
}

impl Reachability {
    /// The name in ip-neighbour(8), in lower case; `other` for another state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Permanent => "permanent",
            Self::Other(_) => "other",
        }
    }
}

/// The request for a link's neighbours.
pub(crate) fn list_request(link: u32) -> KernelRequest {
    KernelRequest {
        what: format!("list neighbours of link {link}"),
        message_type: libc::RTM_GETNEIGH,
        flags: 0,
        payload: Attributes::after(&[0; NEIGHBOUR_HEADER])
            .u32(libc::NDA_IFINDEX, link)
            .into_bytes(),
        answer: Answer::Message,
    }
}

impl Neighbour {
    /// `None` for neighbours of other protocols, and for groups.
    pub(crate) fn parse(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        let state = u16_of(reply.payload.get(8..10).unwrap_or_default())?;
        let (mut address, mut mac) = (None, None);
        for attribute in reply.attributes(NEIGHBOUR_HEADER) {
            match attribute? {
                (libc::NDA_DST, value) => address = ip_of(value),
                (libc::NDA_LLADDR, value) => mac = value.try_into().ok().map(Mac),
                _ => {}
            }
        }
        let state = match state {
            libc::NUD_NOARP => return Ok(None),
            libc::NUD_INCOMPLETE => Reachability::Incomplete,
            libc::NUD_REACHABLE => Reachability::Reachable,
            libc::NUD_STALE => Reachability::Stale,
            libc::NUD_FAILED => Reachability::Failed,
            libc::NUD_PERMANENT => Reachability::Permanent,
            other => Reachability::Other(other),
        };
        Ok(address.map(|address| Self {
            address,
            mac,
            state,
        }))
    }
}
