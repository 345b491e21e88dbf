//! Policy routing rules.
//!
//! ```text
//! struct fib_rule_hdr
//!  0       1       2       3       4       5       6       7       8       12
//! +-------+-------+-------+-------+-------+-------+-------+-------+-------+------------- - -
//! | family| dst   | src   | tos   | table | 0     | 0     | action| flags | attributes
//! +-------+-------+-------+-------+-------+-------+-------+-------+-------+------------- - -
//! ```
//!
//! `dst` and `src` are the lengths of the prefixes that a packet is compared with.

use ipnetwork::IpNetwork;
use nix::libc;

use crate::address::network;
use crate::attributes::{Malformed, ip_of, u32_of};
use crate::uapi::{
    FIB_RULE_INVERT, FR_ACT_TO_TBL, FRA_PAD, FRA_PRIORITY, FRA_PROTOCOL, FRA_SRC,
    FRA_SUPPRESS_PREFIXLEN, FRA_TABLE,
};
use crate::{Answer, Family, KernelMessage, KernelRequest, NetlinkError, Rtnetlink};

/// The length of `struct fib_rule_hdr`.
const RULE_HEADER: usize = 12;

/// No prefix is too short, so none is ignored.
const SUPPRESSES_NOTHING: u32 = u32::MAX;

/// A rule of policy routing (ip-rule(8)) by which all packets from a network are looked up in a
/// table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRule {
    /// The source of the packets.
    pub source: IpNetwork,
    /// The table.
    pub table: u32,
}

impl Rtnetlink {
    /// The rules that match only a packet's source, in the order in which they are tried. Empty if
    /// the kernel has no policy routing.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn source_rules(&mut self, family: Family) -> Result<Vec<SourceRule>, NetlinkError> {
        let mut payload = vec![0; RULE_HEADER];
        payload.splice(..1, [family.number()]);
        let request = KernelRequest {
            what: "list routing rules".to_owned(),
            message_type: libc::RTM_GETRULE,
            flags: 0,
            payload,
            answer: Answer::Message,
        };
        match self.socket.dump(&request, SourceRule::parse) {
            Err(error) if error.is_unsupported() => Ok(Vec::new()),
            rules => rules,
        }
    }
}

impl SourceRule {
    /// `None` for a rule of another kind, or with a match that this crate does not know.
    pub(crate) fn parse(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        let &[_, destination, prefix, tos, table, _, _, action, ..] = &*reply.payload else {
            return Err(Malformed("a routing rule has no header"));
        };
        let flags = reply.payload.get(8..RULE_HEADER).map_or(Ok(0), u32_of)?;
        if action != FR_ACT_TO_TBL || flags & FIB_RULE_INVERT != 0 || destination != 0 || tos != 0 {
            return Ok(None);
        }
        let (mut source, mut table) = (None, u32::from(table));
        for attribute in reply.attributes(RULE_HEADER) {
            match attribute? {
                (FRA_SRC, value) => source = ip_of(value),
                (FRA_TABLE, value) => table = u32_of(value)?,
                (FRA_SUPPRESS_PREFIXLEN, value) if u32_of(value)? == SUPPRESSES_NOTHING => {}
                (FRA_PRIORITY | FRA_PAD | FRA_PROTOCOL, _) => {}
                _ => return Ok(None),
            }
        }
        let source = source.map(|ip| network(ip, prefix)).transpose()?;
        Ok(source.map(|source| Self { source, table }))
    }
}
