//! The node's network, the ports of the bridge, and the rollback of an ADD's changes.

use cni_plugin::Log;
use container_link::Rollback;
use netlink::{NetlinkError, Rtnetlink};

use crate::undo::Undo;

/// The node's network, and the rollback of changes to it.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) kernel: Rtnetlink,
    pub(crate) ports: Ports,
    pub(crate) log: &'a Log,
    pub(crate) rollback: Rollback<Undo>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(kernel: Rtnetlink, log: &'a Log) -> Self {
        Self {
            kernel,
            ports: Ports::default(),
            log,
            rollback: Rollback::default(),
        }
    }

    /// Whether anything else is plugged into the bridge.
    pub(crate) fn has_others(&mut self) -> Result<bool, NetlinkError> {
        let ports = self.kernel.ports(self.ports.bridge)?;
        Ok(ports
            .iter()
            .any(|port| !self.ports.own.contains(&port.index)))
    }
}

/// The ports of the bridge that do not count as other links.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    bridge: u32,
    own: Vec<u32>,
}

impl Ports {
    /// Sets the bridge.
    pub(crate) fn set_bridge(&mut self, index: u32) {
        self.bridge = index;
    }

    /// Adds a port that does not count as another link: this ADD's own, or the gateway's.
    pub(crate) fn add_own(&mut self, index: u32) {
        self.own.push(index);
    }
}
