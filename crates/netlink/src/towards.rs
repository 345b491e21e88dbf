//! The link towards an address, and the node's addresses.

use std::net::IpAddr;

use crate::socket::garbled;
use crate::{LinkAddress, NetlinkError, Rtnetlink, address, route};

/// No link in particular.
const ANY_LINK: u32 = 0;

impl Rtnetlink {
    /// The index of the link by which packets to an address leave; `None` if there is no route.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn link_towards(&mut self, address: IpAddr) -> Result<Option<u32>, NetlinkError> {
        let request = route::towards_request(address);
        let outcome = self.socket.exchange(&[&request])?.pop().unwrap_or(Ok(None));
        match outcome {
            Ok(Some(reply)) => route::link_of(&reply).map_err(|e| garbled(&request.what, e)),
            Ok(None) => Ok(None),
            // There is no route, or one that rejects packets.
            Err(error) if error.is_refused() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The addresses of all links, each with the index of its link.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn all_addresses(&mut self) -> Result<Vec<(u32, LinkAddress)>, NetlinkError> {
        let request = address::list_request("list addresses".to_owned(), ANY_LINK, None);
        self.socket.dump(&request, |reply| {
            let address = LinkAddress::parse(reply)?;
            Ok(reply.link_index().zip(address))
        })
    }
}
