//! Routes and addresses from router advertisements.

use nix::libc;

use crate::attributes::Malformed;
use crate::uapi::RTPROT_RA;
use crate::{
    Family, Given, KernelMessage, LinkAddress, NetlinkError, Route, Rtnetlink, address, route,
};

/// The offset of the protocol (`RTPROT_*`) in `struct rtmsg`.
const PROTOCOL: usize = 5;

/// No link in particular.
const ANY_LINK: u32 = 0;

impl Rtnetlink {
    /// The indexes of the links that have an IPv6 route or address from a router advertisement,
    /// each once (RFC 4861, RFC 4862).
    ///
    /// Addresses with a lifetime count, which may be from DHCP: it runs on a link whose
    /// advertisements request it.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn advertised_links(&mut self) -> Result<Vec<u32>, NetlinkError> {
        let every_table = u32::from(libc::RT_TABLE_UNSPEC);
        let request = route::list_request(Family::V6, every_table, None);
        let of_route = |reply: &KernelMessage<'_>| -> Result<_, Malformed> {
            if reply.payload.get(PROTOCOL) != Some(&RTPROT_RA) {
                return Ok(None);
            }
            let routes = Route::parse(reply)?.into_iter();
            Ok(Some(routes.filter_map(|route| route.link).collect()))
        };
        let by_routes: Vec<Vec<u32>> = self.socket.dump(&request, of_route)?;
        let request =
            address::list_request("list addresses".to_owned(), ANY_LINK, Some(Family::V6));
        let of_address = |reply: &KernelMessage<'_>| -> Result<_, Malformed> {
            let is_lent = |address: &LinkAddress| {
                let Given {
                    scope, lifetime, ..
                } = &address.given;
                lifetime.is_some() && *scope == libc::RT_SCOPE_UNIVERSE
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
