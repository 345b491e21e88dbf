//! Policy routing rules.

use ipnetwork::IpNetwork;
use netlink_packet_core::DecodeError;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::rule::RuleMessage;

use crate::address::ip_of;
use crate::reply::{Reply, u32_of};
use crate::{Answer, Family, NetlinkError, Request, Rtnetlink};

/// The length of `struct fib_rule_hdr`.
const RULE_HEADER: usize = 12;

// linux/fib_rules.h
const FR_ACT_TO_TBL: u8 = 1;
const FIB_RULE_INVERT: u32 = 2;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_PAD: u16 = 18;
const FRA_PROTOCOL: u16 = 21;

/// No prefix is too short, so none is passed over.
const SUPPRESSES_NOTHING: u32 = u32::MAX;

/// A rule of policy routing (ip-rule(8)) that has all packets from a network looked up in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRule {
    /// Where the packets are from.
    pub source: IpNetwork,
    /// The table.
    pub table: u32,
}

impl Rtnetlink {
    /// The rules that look at nothing but where a packet is from, in the order in which they are
    /// tried. None where the kernel has no policy routing.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn source_rules(&mut self, family: Family) -> Result<Vec<SourceRule>, NetlinkError> {
        let mut message = RuleMessage::default();
        message.header.family = family.number();
        let request = Request {
            what: "list routing rules".to_owned(),
            payload: RouteNetlinkMessage::GetRule(message),
            flags: 0,
            answer: Answer::Message,
        };
        match self.socket.dump(&request, SourceRule::parse) {
            Err(error) if error.is_unsupported() => Ok(Vec::new()),
            rules => rules,
        }
    }
}

impl SourceRule {
    /// `None` for a rule of another kind, or one that looks at something that this crate does not
    /// know.
    fn parse(reply: &Reply<'_>) -> Result<Option<Self>, DecodeError> {
        let &[_, destination, prefix, tos, table, _, _, action, ..] = reply.payload else {
            return Err("a routing rule without a header".into());
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
        let source = source.map(|ip| IpNetwork::new(ip, prefix));
        let source = source.transpose().map_err(|error| error.to_string())?;
        Ok(source.map(|source| Self { source, table }))
    }
}
