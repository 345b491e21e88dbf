//! Removing links without waiting until the kernel has freed them.

use std::time::{Duration, Instant};

use nix::libc::{AF_UNSPEC, IFLA_GROUP, RTM_DELLINK, RTM_SETLINK, RTNLGRP_LINK};

use crate::link::LinkHeader;
use crate::mac::random;
use crate::uapi::family;
use crate::{Answer, Change, NetlinkError, Reply, Request, Rtnetlink};

/// The timeout for an event, and the interval at which the plugin checks that the process which has
/// sent the request still runs. After the timeout the plugin sends a request of its own.
const TIMEOUT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// Groups of links that operators make have small numbers.
const LOWEST_GROUP: u32 = 1 << 30;

impl Rtnetlink {
    /// Removes links of this namespace that were made by software; of a pair, both ends. Links that
    /// do not exist are no error.
    ///
    /// When this returns, their names are free and nothing refers to them: a bridge has no such
    /// port, and there are no addresses, routes, neighbours and forwarding entries by them. Only
    /// their memory is still in use. The kernel acknowledges a removal when that is free too, which
    /// takes 20 ms and more, as each processor has to let go of it. So another process sends the
    /// request ([`child::Apart`]) and waits for the acknowledgement, while this one waits for the
    /// event that the link is gone. However the other process fares, this one removes each link
    /// whose event it has not seen by a request of its own, whose answer counts.
    ///
    /// # Errors
    /// The first refusal. All are tried.
    pub fn remove_links(&mut self, links: &[u32]) -> Result<(), NetlinkError> {
        let mut left = links.to_vec();
        match *links {
            [] => return Ok(()),
            [link] => self.remove_apart(&Change::DeleteLink { link }.request(), &mut left),
            _ => self.remove_group(&mut left),
        }
        let removals = left.into_iter().map(|link| Change::DeleteLink { link });
        let removals: Vec<Change> = removals.collect();
        let applied = self.apply_each(&removals)?.into_iter();
        let mut errors = applied.filter_map(|applied| applied.result.err());
        errors
            .find(|error| !error.is_not_found())
            .map_or(Ok(()), Err)
    }

    /// Removes many links at once, for which the kernel takes hardly longer than for one: each
    /// request of its own would wait for the one before it. What is not removed stays in a group
    /// that means nothing to anybody.
    fn remove_group(&mut self, left: &mut Vec<u32>) {
        let group = LOWEST_GROUP | random() as u32 >> 2;
        let members = left.iter().map(|link| grouping(*link, group));
        let members: Vec<Request> = members.collect();
        if self.send_each(&members).is_ok() {
            self.remove_apart(&group_removal(group), left);
        }
    }

    /// Has another process remove links, and takes those whose events come out of `left`.
    fn remove_apart(&mut self, removal: &Request, left: &mut Vec<u32>) {
        // Nothing of this is an error: the caller removes what is left.
        if self.socket.subscribe(RTNLGRP_LINK).is_ok() {
            let _ = self.watch_removal(removal, left);
            let _ = self.socket.unsubscribe(RTNLGRP_LINK);
        }
    }

    fn watch_removal(
        &mut self,
        removal: &Request,
        left: &mut Vec<u32>,
    ) -> Result<(), NetlinkError> {
        let mut handed_over = self.socket.hand_over(removal, c"twill-unlink")?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let next_look = deadline.min(Instant::now() + LOOK);
            // Lost events count as an answer, too.
            let is_answered = self.socket.wait_for_event(next_look, |reply| {
                left.retain(|link| !is_removed(reply, *link));
                left.is_empty() || handed_over.is_answered_by(reply)
            })?;
            if is_answered || handed_over.process.has_ended() || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }
}

/// Whether an event says that a link is gone. One of the same kind and another family says that a
/// bridge lost a port.
fn is_removed(event: &Reply<'_>, link: u32) -> bool {
    event.message_type == RTM_DELLINK
        && event.payload.first() == Some(&family(AF_UNSPEC))
        && event.link_index() == Some(link)
}

/// The request that puts a link into a group (ip-link(8), `group`).
fn grouping(link: u32, group: u32) -> Request {
    let message = LinkHeader::of(link).attributes().u32(IFLA_GROUP, group);
    Request {
        what: format!("put link {link} into group {group}"),
        message_type: RTM_SETLINK,
        flags: 0,
        payload: message.into_bytes(),
        answer: Answer::Nothing,
    }
}

/// The request that removes the links of a group.
fn group_removal(group: u32) -> Request {
    let message = LinkHeader::default().attributes().u32(IFLA_GROUP, group);
    Request {
        what: format!("delete the links of group {group}"),
        message_type: RTM_DELLINK,
        flags: 0,
        payload: message.into_bytes(),
        answer: Answer::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use testkit::NetNs;

    use super::*;
    use crate::{LinkChange, NewLink};

    #[test]
    fn a_link_is_removed_even_if_events_are_lost() {
        if !testkit::requirements::require_root() {
            return;
        }
        let node = NetNs::new().unwrap();
        node.enter(|| {
            let mut kernel = Rtnetlink::open().unwrap();
            let bridge = kernel.create_bridge(&NewLink::named("cni0"), None);
            let link = bridge.unwrap().index;
            // The least that the kernel allows, which has no room for a second event.
            kernel.socket.set_receive_buffer(1);
            kernel.socket.subscribe(RTNLGRP_LINK).unwrap();
            let mut other = Rtnetlink::open().unwrap();
            let change = |mtu| LinkChange {
                mtu: Some(mtu),
                ..LinkChange::default()
            };
            let changes = (1300..1320).map(|mtu| Change::SetLink {
                link,
                change: change(mtu),
            });
            other.apply(&changes.collect::<Vec<_>>()).unwrap();
            kernel.remove_links(&[link]).unwrap();
            assert_eq!(other.link_by_index(link).unwrap(), None);
        });
    }
}
