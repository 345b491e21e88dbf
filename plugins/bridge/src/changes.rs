//! What an ADD has changed on the node so far. Unless it is committed, all of it is undone, the
//! last step first.

use std::cell::{Cell, RefCell};

use cni_plugin::Log;
use container_link::Undo;
use netlink::{Change, NetlinkError, Rtnetlink};

use crate::error::BridgeError;

/// The node's network, and the way back from what is changed there.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) kernel: Rtnetlink,
    pub(crate) ports: &'a Ports,
    pub(crate) log: &'a Log,
    pub(crate) undo: Undo<'a>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(kernel: Rtnetlink, ports: &'a Ports, log: &'a Log) -> Self {
        Self {
            kernel,
            ports,
            log,
            undo: Undo::new(log),
        }
    }

    /// Notes how to undo what others may come to need: it stays if anything else is plugged into
    /// the bridge by then.
    pub(crate) fn note_shared(
        &mut self,
        what: &'static str,
        step: impl FnOnce() -> Result<(), BridgeError> + 'a,
    ) {
        let ports = self.ports;
        let is_needed = || {
            let mut kernel = Rtnetlink::open()?;
            Ok(ports.has_others(&mut kernel)?)
        };
        let step = || Ok(step()?);
        self.undo.push_shared(what, is_needed, step);
    }

    /// Whether anything else is plugged into the bridge.
    pub(crate) fn has_others(&mut self) -> Result<bool, NetlinkError> {
        self.ports.has_others(&mut self.kernel)
    }
}

/// Who is plugged into the bridge.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    bridge: Cell<u32>,
    own: RefCell<Vec<u32>>,
}

impl Ports {
    /// Tells which bridge it is all about.
    pub(crate) fn set_bridge(&self, index: u32) {
        self.bridge.set(index);
    }

    /// Tells of a port that does not count as another one: this ADD's own, or the gateway's.
    pub(crate) fn add_own(&self, index: u32) {
        self.own.borrow_mut().push(index);
    }

    fn has_others(&self, kernel: &mut Rtnetlink) -> Result<bool, NetlinkError> {
        let ports = kernel.ports(self.bridge.get())?;
        let own = self.own.borrow();
        Ok(ports.iter().any(|port| !own.contains(&port.index)))
    }
}

/// Carries out changes of the node's network, some of which may be there already.
pub(crate) fn put_back(changes: &[Change]) -> Result<(), BridgeError> {
    let applied = Rtnetlink::open()?.apply_each(changes)?.into_iter();
    let mut errors = applied.filter_map(|applied| applied.result.err());
    match errors.find(|error| !error.is_not_found() && !error.is_exists()) {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

/// Removes a link of the node's, which may be gone already.
pub(crate) fn remove_link(index: u32) -> Result<(), BridgeError> {
    Ok(Rtnetlink::open()?.remove_links(&[index])?)
}
