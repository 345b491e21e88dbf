//! CHECK: whether an attachment's rules exist and have an effect.

use cni_types::{Attachment, Code, NetworkName};
use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::element::ListedElement;
use crate::grant::{Grant, tables_of};
use crate::kernel::Kernel;
use crate::owner::{NetworkAttachment, RecordKey};
use crate::port_map::PortMapping;
use crate::record::Record;
use crate::table::Table;
use crate::{FirewallError, Nftables};

/// The first gap that CHECK finds in an attachment's rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// An address is not masqueraded.
    #[error("address {address} is not masqueraded: {location} has {lack}")]
    Masquerading {
        /// The address, with its network.
        address: IpNetwork,
        /// The table or the chain that should masquerade it.
        location: String,
        /// What is missing there.
        lack: &'static str,
    },
    /// A port accepts frames from any MAC.
    #[error("port {port} is not held to {mac}: {location} has {lack}")]
    MacCheck {
        /// The port of the bridge.
        port: String,
        /// The only MAC that should be able to send through it.
        mac: Mac,
        /// The table that should drop such frames.
        location: String,
        /// What is missing there.
        lack: &'static str,
    },
    /// A port of the node does not lead to the container.
    #[error("{mapping} does not lead to the container: {location} has {lack}")]
    PortMapping {
        /// The mapping.
        mapping: PortMapping,
        /// The table or the chain that should have the mapping.
        location: String,
        /// What is missing there.
        lack: String,
    },
}

impl From<Missing> for cni_types::Error {
    fn from(missing: Missing) -> Self {
        cni_types::Error::new(Code::CHECK_FAILED, missing)
    }
}

const NO_RULES: &str = "not all of its rules";
const NO_ELEMENT: &str = "no element for it";

impl Missing {
    /// The same gap in a chain of iptables.
    pub(crate) fn in_iptables(self, chain: &str) -> Self {
        match self {
            Self::Masquerading { address, .. } => Self::Masquerading {
                address,
                location: format!("chain {chain} of iptables"),
                lack: NO_RULES,
            },
            other @ (Self::MacCheck { .. } | Self::PortMapping { .. }) => other,
        }
    }
}

impl Nftables {
    /// The first gap in the elements and rules of [`Nftables::masquerade`]; `None` if there is
    /// none.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub fn missing_masquerading(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: &[IpNetwork],
    ) -> Result<Option<Missing>, FirewallError> {
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        for address in addresses.iter().filter(|address| address.prefix() > 0) {
            let grant = Grant::Address(*address);
            if let Some(lack) = self.kernel.lack(owner, grant)? {
                return Ok(Some(Missing::Masquerading {
                    address: *address,
                    location: format!("table {}", grant.table()),
                    lack,
                }));
            }
        }
        Ok(None)
    }

    /// The first gap in the elements and rules of [`Nftables::allow_only_mac`]; `None` if there is
    /// none.
    ///
    /// # Errors
    /// [`FirewallError::PortName`], and if the kernel refuses to answer.
    pub fn missing_mac_check(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        port: &str,
        mac: Mac,
    ) -> Result<Option<Missing>, FirewallError> {
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        let grant = Grant::port(port, mac);
        let grant = grant.ok_or_else(|| FirewallError::PortName(port.to_owned()))?;
        let lack = self.kernel.lack(owner, grant)?;
        Ok(lack.map(|lack| Missing::MacCheck {
            port: port.to_owned(),
            mac,
            location: format!("table {}", grant.table()),
            lack,
        }))
    }
}

impl Kernel {
    /// Whether the tables of this crate have a record of any address of an attachment.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn has_addresses(
        &mut self,
        owner: NetworkAttachment<'_>,
    ) -> Result<bool, FirewallError> {
        let found = self.records_of(owner, &Table::MASQUERADE)?;
        Ok(!found.is_empty())
    }

    /// The first gap that keeps a grant from having an effect.
    fn lack(
        &mut self,
        owner: NetworkAttachment<'_>,
        grant: Grant,
    ) -> Result<Option<&'static str>, FirewallError> {
        let found = self.records_of(owner, &[grant.table()])?;
        let matches = |record: &&Record| record.grant == Some(grant);
        let Some(record) = found.iter().find(matches) else {
            return Ok(Some(NO_ELEMENT));
        };
        let is_its = |comment: &str| RecordKey::of_comment(comment) == Some(record.key);
        let elements = self.ask(&grant.elements())?;
        let is_there = |it: &Option<_>| {
            it.as_ref()
                .is_some_and(|it: &ListedElement| is_its(&it.comment))
        };
        if !elements.iter().all(is_there) {
            return Ok(Some(NO_ELEMENT));
        }
        let is_intact =
            self.frame(grant.table())?.is_complete() && self.are_intact(&tables_of(&[grant]))?;
        Ok((!is_intact).then_some(NO_RULES))
    }
}
