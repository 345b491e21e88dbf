//! A link's counters (`struct rtnl_link_stats64`).

use nix::libc;

use crate::KernelMessage;
use crate::attributes::{Malformed, u64_of};
use crate::link::LINK_HEADER;

/// A link's counters since its creation, from its own point of view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The packets that it received.
    pub received_packets: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// The packets that it received and dropped.
    pub received_dropped: u64,
    /// The packets that it sent.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// The packets that it was to send and dropped.
    pub sent_dropped: u64,
}

impl Counters {
    /// `None` if the kernel does not count.
    pub(crate) fn parse(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        for attribute in reply.attributes(LINK_HEADER) {
            if let (libc::IFLA_STATS64, value) = attribute? {
                let field = |index: usize| {
                    let field = value.get(index * 8..(index + 1) * 8);
                    u64_of(field.unwrap_or_default())
                };
                return Ok(Some(Self {
                    received_packets: field(0)?,
                    sent_packets: field(1)?,
                    received_bytes: field(2)?,
                    sent_bytes: field(3)?,
                    received_dropped: field(6)?,
                    sent_dropped: field(7)?,
                }));
            }
        }
        Ok(None)
    }
}
