//! The container's network namespace, seen from the node's.

use std::path::Path;

use netlink::{NetlinkError, Netns, NetnsError, Rtnetlink};

/// Both namespaces.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// The container's.
    pub(crate) netns: Netns,
    /// The node's, which the thread is in.
    pub(crate) home: Netns,
}

impl Sandbox {
    /// Opens the namespace that `CNI_NETNS` names.
    pub(crate) fn open(netns: &Path) -> Result<Self, NetnsError> {
        Ok(Self {
            netns: Netns::open(netns)?,
            home: Netns::current()?,
        })
    }

    /// The network inside.
    pub(crate) fn network(&self) -> Result<Rtnetlink, NetlinkError> {
        Rtnetlink::open_in(&self.netns, &self.home)
    }
}
