//! Routes and addresses that router advertisements made.

use netlink_packet_core::DecodeError;
use netlink_packet_route::route::RouteHeader;
use nix::libc;

use crate::address::Given;
use crate::{Family, LinkAddress, NetlinkError, Reply, Route, Rtnetlink, address, route};

/// Who makes the routes of router advertisements (`RTPROT_RA`), and where that stands in `struct
/// rtmsg`.
const OF_ADVERTISEMENTS: u8 = 9;
const PROTOCOL: usize = 5;

/// No link in particular.
const ANY_LINK: u32 = 0;

impl Rtnetlink {
    /// The indexes of the links that have an IPv6 route or address by a router advertisement, each
    /// once (RFC 4861, RFC 4862).
    ///
    /// An address counts if it does not last: one by DHCP stands on a link where advertisements ask
    /// for that.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn advertised_links(&mut self) -> Result<Vec<u32>, NetlinkError> {
        let every_table = u32::from(RouteHeader::RT_TABLE_UNSPEC);
        let request = route::list_request(Family::V6, every_table, None);
        let of_route = |reply: &Reply<'_>| -> Result<_, DecodeError> {
            if reply.payload.get(PROTOCOL) != Some(&OF_ADVERTISEMENTS) {
                return Ok(None);
            }
            let ways = Route::parse(reply)?;
            Ok(Some(ways.into_iter().filter_map(|way| way.link).collect()))
        };
        let by_routes: Vec<Vec<u32>> = self.socket.dump(&request, of_route)?;
        let request = address::list_request(ANY_LINK, Some(Family::V6));
        let of_address = |reply: &Reply<'_>| -> Result<_, DecodeError> {
            let is_lent = |address: &LinkAddress| {
                let Given {
                    scope, lifetime, ..
                } = &address.given;
                lifetime.is_some() && i32::from(*scope) == i32::from(libc::RT_SCOPE_UNIVERSE)
            };
            let found = LinkAddress::parse(reply)?.filter(is_lent);
            Ok(found.and_then(|_| reply.link_index()))
        };
        let by_addresses = self.socket.dump(&request, of_address)?;
        let mut links: Vec<u32> = by_routes.into_iter().flatten().collect();
        links.extend(by_addresses);
        links.sort_unstable();
        links.dedup();
        Ok(links)
    }
}
