//! Which link leads to an address, and which addresses the node has.

use std::net::IpAddr;

use netlink_packet_core::DecodeError;
use nix::libc;

use crate::attributes::{Attributes, find};
use crate::{Answer, Bytes, NetlinkError, Reply, Request, Rtnetlink};

/// The length of `struct rtmsg`.
const ROUTE_HEADER: usize = 12;

/// The length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

impl Rtnetlink {
    /// The index of the link that packets to an address leave by; `None` if no route leads there.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn link_towards(&mut self, address: IpAddr) -> Result<Option<u32>, NetlinkError> {
        let (family, octets) = match address {
            IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
        };
        let mut payload = vec![0; ROUTE_HEADER];
        if let [of_family, length, ..] = payload.as_mut_slice() {
            *of_family = family as u8;
            *length = (octets.len() * 8) as u8;
        }
        payload.extend(Attributes::new().bytes(libc::RTA_DST, &octets).into_bytes());
        let request = request(
            format!("find the route to {address}"),
            libc::RTM_GETROUTE,
            payload,
        );
        let mut link = None;
        let refusals = self.socket.exchange(&[&request], |_, reply| {
            let found = oif_of(reply).map_err(|error| NetlinkError::Garbled {
                what: request.what.clone(),
                reason: error.to_string(),
            })?;
            link = found;
            Ok(())
        })?;
        match refusals.into_iter().next() {
            // There is no route, or one that refuses packets.
            Some((_, error)) if error.is_refused() => Ok(None),
            Some((_, error)) => Err(error),
            None => Ok(link),
        }
    }

    /// The addresses of all links, each with the index of its link.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn all_addresses(&mut self) -> Result<Vec<(u32, IpAddr)>, NetlinkError> {
        let payload = vec![0; ADDRESS_HEADER];
        let request = request("list addresses".to_owned(), libc::RTM_GETADDR, payload);
        self.socket.dump(&request, address_of)
    }
}

fn request(what: String, message_type: u16, payload: Vec<u8>) -> Request<Bytes> {
    Request {
        what,
        payload: Bytes {
            message_type,
            payload,
        },
        flags: 0,
        answer: Answer::Message,
    }
}

fn oif_of(reply: &Reply<'_>) -> Result<Option<u32>, DecodeError> {
    let attributes = reply.payload.get(ROUTE_HEADER..).unwrap_or_default();
    let oif = find(attributes, libc::RTA_OIF)?;
    Ok(oif.try_into().ok().map(u32::from_ne_bytes))
}

fn address_of(reply: &Reply<'_>) -> Result<Option<(u32, IpAddr)>, DecodeError> {
    let Some((header, attributes)) = reply.payload.split_at_checked(ADDRESS_HEADER) else {
        return Ok(None);
    };
    // A point-to-point address has the peer's in `IFA_ADDRESS`.
    let own = find(attributes, libc::IFA_LOCAL)?;
    let own = if own.is_empty() {
        find(attributes, libc::IFA_ADDRESS)?
    } else {
        own
    };
    let address = if let Ok(octets) = <[u8; 4]>::try_from(own) {
        Some(IpAddr::from(octets))
    } else {
        <[u8; 16]>::try_from(own).ok().map(IpAddr::from)
    };
    let index = header.last_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    Ok(index.zip(address))
}
