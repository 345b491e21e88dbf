//! Waiting for events of the kernel.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use nix::libc::{RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK};

use crate::{Family, KernelMessage, KernelRequest, Link, LinkRef, NetlinkError, Rtnetlink, route};

impl Rtnetlink {
    /// Waits until `is_so` accepts a link. `wanted` is the condition in words, for the error: `up`.
    ///
    /// The socket asks the kernel first. Only if the condition does not hold does it subscribe to
    /// the events of links, and ask again, so it misses no event. A kernel from 6.8 on settles a
    /// change of carrier before it answers, so there is mostly nothing to wait for.
    ///
    /// # Errors
    /// [`NetlinkError::is_not_found`] if the link is gone; [`NetlinkError::TimedOut`].
    pub fn wait_for_link(
        &mut self,
        index: u32,
        timeout: Duration,
        wanted: &str,
        is_so: impl Fn(&Link) -> bool,
    ) -> Result<Link, NetlinkError> {
        self.wait(
            RTNLGRP_LINK,
            timeout,
            |event| event.link_index() == Some(index),
            |rtnetlink| format!("link {} {wanted}", rtnetlink.name_of(index)),
            |rtnetlink| {
                let link = rtnetlink.apply_and_read(&[], LinkRef::Index(index))?;
                Ok(Some(link).filter(|link| is_so(link)))
            },
        )
    }

    /// Waits until duplicate address detection is over for all IPv6 addresses of a link (RFC 4862).
    ///
    /// # Errors
    /// [`NetlinkError::DuplicateAddress`] and [`NetlinkError::TimedOut`]. Without a carrier the
    /// kernel does not begin with the detection, and the caller decides whether that is wrong.
    pub fn wait_for_addresses(
        &mut self,
        index: u32,
        timeout: Duration,
    ) -> Result<(), NetlinkError> {
        self.wait(
            RTNLGRP_IPV6_IFADDR,
            timeout,
            |event| event.link_index() == Some(index),
            |rtnetlink| {
                let link = rtnetlink.name_of(index);
                format!("duplicate address detection on link {link} over")
            },
            |rtnetlink| {
                let addresses = rtnetlink.addresses(index, Some(Family::V6))?;
                if let Some(address) = addresses.iter().find(|address| address.is_duplicate) {
                    return Err(NetlinkError::DuplicateAddress {
                        address: address.network.ip(),
                        link: rtnetlink.name_of(index),
                    });
                }
                let is_over = !addresses.iter().any(|address| address.is_tentative);
                Ok(is_over.then_some(()))
            },
        )
    }

    /// Waits until this namespace takes packets to IPv6 addresses of its links.
    ///
    /// The kernel completes a new address in a work queue, also without duplicate address
    /// detection. On a busy machine the queue lags behind by a second or more. Until then the
    /// container can send packets from the address, but gets no replies.
    ///
    /// # Errors
    /// [`NetlinkError::TimedOut`].
    pub fn wait_for_local(
        &mut self,
        addresses: &[Ipv6Addr],
        timeout: Duration,
    ) -> Result<(), NetlinkError> {
        let questions: Vec<KernelRequest> = addresses
            .iter()
            .map(|address| route::towards_request((*address).into()))
            .collect();
        if questions.is_empty() {
            return Ok(());
        }
        self.wait(
            RTNLGRP_IPV6_ROUTE,
            timeout,
            |_| true,
            |_| "each new IPv6 address complete".to_owned(),
            |rtnetlink| {
                let routes = rtnetlink.send_each(&questions)?;
                // Without any route to an address the kernel refuses to answer.
                let is_local = |route: &Result<Option<KernelMessage<'_>>, _>| {
                    matches!(route, Ok(Some(route)) if route::is_local(route))
                };
                Ok(routes.iter().all(is_local).then_some(()))
            },
        )
    }

    /// Calls `look` after each relevant event of a group, until it returns a value.
    fn wait<T>(
        &mut self,
        group: u32,
        timeout: Duration,
        is_about_it: impl Fn(&KernelMessage<'_>) -> bool,
        what: impl Fn(&mut Self) -> String,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>, NetlinkError>,
    ) -> Result<T, NetlinkError> {
        if let Some(seen) = look(self)? {
            return Ok(seen);
        }
        let deadline = Instant::now() + timeout;
        self.socket.subscribe(group)?;
        let seen = loop {
            match look(self) {
                Ok(None) => {}
                Ok(Some(seen)) => break Ok(seen),
                Err(error) => break Err(error),
            }
            match self.socket.wait_for_event(deadline, &is_about_it) {
                Ok(true) => {}
                Ok(false) => {
                    let what = what(self);
                    break Err(NetlinkError::TimedOut { what, timeout });
                }
                Err(error) => break Err(error),
            }
        };
        self.socket.unsubscribe(group)?;
        seen
    }
}
