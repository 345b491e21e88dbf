//! Removing links without waiting until the kernel has freed their memory.

use std::time::{Duration, Instant};

use nix::libc::{AF_UNSPEC, IFLA_GROUP, RTM_DELLINK, RTM_SETLINK, RTNLGRP_LINK};

use crate::link::LinkHeader;
use crate::mac::random;
use crate::uapi::family;
use crate::{Answer, Change, KernelMessage, KernelRequest, NetlinkError, Rtnetlink};

/// The timeout for the event of a removal, and the interval at which the plugin checks that the
/// helper process still runs. After the timeout the plugin sends a request itself.
const TIMEOUT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// Operators' link groups have small numbers.
const LOWEST_GROUP: u32 = 1 << 30;

impl Rtnetlink {
    /// Removes virtual links of this namespace; of a veth pair, both ends. A link that does not
    /// exist is no error.
    ///
    /// When this returns, the links' names are free and nothing refers to them: no bridge port, no
    /// address, route, neighbour or forwarding entry. Only their memory is still in use. The kernel
    /// acknowledges a removal once the memory is free as well, after 20 ms or more (an RCU grace
    /// period). So a helper process ([`child::Apart`]) sends the request and waits for the
    /// acknowledgement, while this process waits for the event that the link is gone
    /// (`RTM_DELLINK`). Whatever happens to the helper, this process removes each link whose event
    /// it has not seen by a request of its own, and that answer decides.
    ///
    /// # Errors
    /// The first refusal. The removal of every link is tried.
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

    /// Removes many links by one request, through a link group, which takes the kernel hardly
    /// longer than one link; separate requests would wait for each other. A link that is not
    /// removed stays in the group, whose random number nobody uses.
    fn remove_group(&mut self, left: &mut Vec<u32>) {
        let group = LOWEST_GROUP | random() as u32 >> 2;
        let members = left.iter().map(|link| grouping(*link, group));
        let members: Vec<KernelRequest> = members.collect();
        if self.send_each(&members).is_ok() {
            self.remove_apart(&group_removal(group), left);
        }
    }

    /// Has the helper process remove links, and takes those whose event arrives out of `left`.
    fn remove_apart(&mut self, removal: &KernelRequest, left: &mut Vec<u32>) {
        // Errors are ignored: the caller removes the links that are left.
        if self.socket.subscribe(RTNLGRP_LINK).is_ok() {
            let _ = self.watch_removal(removal, left);
            let _ = self.socket.unsubscribe(RTNLGRP_LINK);
        }
    }

    fn watch_removal(
        &mut self,
        removal: &KernelRequest,
        left: &mut Vec<u32>,
    ) -> Result<(), NetlinkError> {
        let mut handed_over = self.socket.hand_over(removal, c"twill-unlink")?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let next_look = deadline.min(Instant::now() + LOOK);
            // If events were lost, the loop ends as well.
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

/// Whether an event reports the removal of a link. An `RTM_DELLINK` of the family `AF_BRIDGE` only
/// reports that a bridge lost a port.
fn is_removed(event: &KernelMessage<'_>, link: u32) -> bool {
    event.message_type == RTM_DELLINK
        && event.payload.first() == Some(&family(AF_UNSPEC))
        && event.link_index() == Some(link)
}

/// The request that puts a link into a group (ip-link(8), `group`).
fn grouping(link: u32, group: u32) -> KernelRequest {
    let message = LinkHeader::of(link).attributes().u32(IFLA_GROUP, group);
    KernelRequest {
        what: format!("put link {link} into group {group}"),
        message_type: RTM_SETLINK,
        flags: 0,
        payload: message.into_bytes(),
        answer: Answer::Nothing,
    }
}

/// The request that removes the links of a group.
fn group_removal(group: u32) -> KernelRequest {
    let message = LinkHeader::default().attributes().u32(IFLA_GROUP, group);
    KernelRequest {
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
            // The smallest buffer that the kernel allows, which has no room for a second event.
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
