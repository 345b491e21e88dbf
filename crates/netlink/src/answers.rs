//! Reads arbitrary bytes as the kernel's answers, for the program `fuzz`.

use crate::{KernelMessage, Link, LinkAddress, Route, SourceRule, route, traffic, vlan};

/// Reads the messages of a datagram as answers to every question that this crate asks, and passes
/// each to `also`.
pub fn read_all(datagram: &[u8], mut also: impl FnMut(&KernelMessage<'_>)) {
    let mut rest = datagram;
    while let Ok(Some(reply)) = KernelMessage::take(&mut rest) {
        let _ = reply.verdict();
        let _ = Link::parse(&reply);
        let _ = LinkAddress::parse(&reply);
        let _ = Route::parse(&reply);
        let _ = route::link_of(&reply);
        let _ = SourceRule::parse(&reply);
        let _ = vlan::parse(&reply);
        traffic::read_all(&reply);
        also(&reply);
    }
}
