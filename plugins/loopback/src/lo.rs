//! A container's `lo`.

use netlink::{Change, Link, LinkChange, LinkRef, NetlinkError, Rtnetlink};

/// The index of `lo`: the kernel creates it first in every namespace (`LOOPBACK_IFINDEX`).
pub(crate) const INDEX: u32 = 1;
pub(crate) const NAME: &str = "lo";

pub(crate) fn find(inside: &mut Rtnetlink) -> Result<Link, NetlinkError> {
    inside.apply_and_read(&[], LinkRef::Index(INDEX))
}

pub(crate) fn set_up(inside: &mut Rtnetlink, is_up: bool) -> Result<(), NetlinkError> {
    inside.apply(&[Change::SetLink {
        link: INDEX,
        change: LinkChange::up(is_up),
    }])
}
