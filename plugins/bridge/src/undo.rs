//! What an ADD has changed so far. Unless it is committed, all of it is undone, the last step first.

use cni_plugin::{Call, Log};
use cni_types::{Attachment, Error};
use ipnetwork::IpNetwork;
use netlink::{Change, Family, LinkChange, NetlinkError, Rtnetlink};

use crate::error::BridgeError;
use crate::ipam::Ipam;
use crate::{bridge_link, forwarding, rules};

/// A step that is done.
#[derive(Debug)]
pub(crate) enum Done<'a> {
    /// The bridge was made; its index.
    MadeBridge(u32),
    /// A link was not as it is now; its index, and what was different.
    ChangedLink(u32, LinkChange<'static>),
    /// The bridge did not heed VLANs; its index.
    FilteredVlans(u32),
    /// The container's pair of links was made; the index of the node's end.
    MadePair(u32),
    /// The pair of links with the gateway's end in a VLAN was made; the index of the bridge's end.
    MadeVlanGateway(u32),
    /// A link has got and lost addresses.
    ChangedAddresses {
        link: u32,
        added: Vec<IpNetwork>,
        removed: Vec<IpNetwork>,
    },
    /// Forwarding was switched on; what the setting was.
    SwitchedForwarding(Family, String),
    /// IPAM was told to give an address. It may have done so, whatever it has answered.
    AskedIpam(&'a Ipam<'a>),
    /// There may be rules of the packet filter.
    AddedRules(&'a Call<'a>, &'a Attachment),
}

/// The steps that are done, and the node's network, which they change.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) kernel: Rtnetlink,
    log: &'a Log,
    done: Vec<Done<'a>>,
    /// The index of the bridge.
    bridge: u32,
    /// The indexes of its ports that are this ADD's own, and of the gateway's.
    own_ports: Vec<u32>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(kernel: Rtnetlink, log: &'a Log) -> Self {
        Self {
            kernel,
            log,
            done: Vec::new(),
            bridge: 0,
            own_ports: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, done: Done<'a>) {
        self.done.push(done);
    }

    /// Notes a step that is undone after all others: nobody else may get the container's address while it still has it.
    pub(crate) fn note_to_undo_last(&mut self, done: Done<'a>) {
        self.done.insert(0, done);
    }

    /// Tells which bridge it is all about.
    pub(crate) fn set_bridge(&mut self, index: u32) {
        self.bridge = index;
    }

    /// Tells of a port of the bridge that does not count as another one.
    pub(crate) fn add_own_port(&mut self, index: u32) {
        self.own_ports.push(index);
    }

    /// Whether anything else is plugged into the bridge.
    pub(crate) fn has_others(&mut self) -> Result<bool, NetlinkError> {
        let ports = self.kernel.ports(self.bridge)?;
        Ok(ports
            .iter()
            .any(|port| !self.own_ports.contains(&port.index)))
    }

    /// The ADD has succeeded.
    pub(crate) fn commit(mut self) {
        self.done.clear();
    }

    fn undo(&mut self, done: Done<'_>) -> Result<(), Error> {
        // Others may have come to need it: it is as if they had done it.
        let is_shared = match done {
            Done::MadePair(_) | Done::AskedIpam(_) | Done::AddedRules(..) => false,
            Done::MadeBridge(_)
            | Done::ChangedLink(..)
            | Done::FilteredVlans(_)
            | Done::MadeVlanGateway(_)
            | Done::ChangedAddresses { .. }
            | Done::SwitchedForwarding(..) => true,
        };
        if is_shared && self.has_others().map_err(BridgeError::from)? {
            self.log
                .info(format_args!("not undone, as others may need it: {done:?}"));
            return Ok(());
        }
        self.log.debug(format_args!("undoing: {done:?}"));
        match done {
            Done::MadeBridge(index) | Done::MadePair(index) | Done::MadeVlanGateway(index) => {
                self.perform(&[Change::delete_link(index)])
            }
            Done::ChangedLink(index, former) => {
                self.perform(&[Change::change_link(index, &former)])
            }
            Done::FilteredVlans(index) => bridge_link::set_vlan_filtering(index, false)
                .map_err(|error| BridgeError::from(error).into()),
            Done::ChangedAddresses {
                link,
                added,
                removed,
            } => {
                let added = added.iter();
                let removed = removed.iter();
                let changes: Vec<Change<'_>> = added
                    .map(|address| Change::delete_address(link, *address))
                    .chain(removed.map(|address| Change::add_address(link, *address, false)))
                    .collect();
                self.perform(&changes)
            }
            Done::SwitchedForwarding(family, former) => Ok(forwarding::set(family, &former)?),
            Done::AskedIpam(ipam) => Ok(ipam.take_back().map_err(BridgeError::from)?),
            Done::AddedRules(call, attachment) => rules::remove(call, attachment),
        }
    }

    /// Carries out changes that may have been made already.
    fn perform(&mut self, changes: &[Change<'_>]) -> Result<(), Error> {
        let refusals = self
            .kernel
            .perform_each(changes)
            .map_err(BridgeError::from)?;
        let mut errors = refusals.into_iter().map(|(_, error)| error);
        match errors.find(|error| !error.is_not_found() && !error.is_exists()) {
            None => Ok(()),
            Some(error) => Err(BridgeError::from(error).into()),
        }
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        while let Some(done) = self.done.pop() {
            if let Err(error) = self.undo(done) {
                self.log.error(format_args!("left behind: {error}"));
            }
        }
    }
}
