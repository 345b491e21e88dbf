//! Waiting for events of the kernel.

use std::time::{Duration, Instant};

use nix::libc::{RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK};

use crate::{Family, Link, LinkRef, NetlinkError, Rtnetlink};

impl Rtnetlink {
    /// Waits until a link is as `is_so` wants it, which `wanted` says in words: `up`.
    ///
    /// The kernel is asked first. Only if the link is not so are its events subscribed to, and the
    /// kernel asked again, so none is missed. A kernel from 6.8 on settles a change of carrier
    /// before it answers, so there is mostly nothing to wait for.
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
            index,
            timeout,
            |name| format!("link {name} {wanted}"),
            |rtnetlink| {
                let link = rtnetlink.apply_and_read(&[], LinkRef::Index(index))?;
                Ok(Some(link).filter(|link| is_so(link)))
            },
        )
    }

    /// Waits until all IPv6 addresses of a link may be used, or one turns out to be in use
    /// elsewhere.
    ///
    /// # Errors
    /// [`NetlinkError::DuplicateAddress`] and [`NetlinkError::TimedOut`]. Where the link has no
    /// carrier the kernel does not begin to ask, and it is up to the caller whether that is wrong.
    pub fn wait_for_addresses(
        &mut self,
        index: u32,
        timeout: Duration,
    ) -> Result<(), NetlinkError> {
        self.wait(
            RTNLGRP_IPV6_IFADDR,
            index,
            timeout,
            |name| format!("duplicate address detection on link {name} over"),
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

    /// Looks after each event of a group about a link, until there is something to see.
    fn wait<T>(
        &mut self,
        group: u32,
        index: u32,
        timeout: Duration,
        what: impl Fn(&str) -> String,
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
            let is_about_it = |event: &crate::Reply<'_>| event.link_index() == Some(index);
            match self.socket.wait_for_event(deadline, is_about_it) {
                Ok(true) => {}
                Ok(false) => {
                    let name = self.name_of(index);
                    break Err(NetlinkError::TimedOut {
                        what: what(&name),
                        timeout,
                    });
                }
                Err(error) => break Err(error),
            }
        };
        self.socket.unsubscribe(group)?;
        seen
    }
}
