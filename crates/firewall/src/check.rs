//! What CHECK wants to know: whether an attachment's rules are all there, and have an effect.

use cni_types::{Attachment, Code, NetworkName};
use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::holding::Holding;
use crate::owner::{Owner, RecordKey};
use crate::survey::{Record, sets_of};
use crate::table::Table;
use crate::{FirewallError, Nftables};

/// What is missing of an attachment's rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// What an address sends does not leave with the node's.
    #[error("address {address} is not masqueraded: {place} has {lack}")]
    Masquerading {
        /// The address, with its network.
        address: IpNetwork,
        /// The table or the chain.
        place: String,
        /// What it has not.
        lack: &'static str,
    },
    /// A port takes frames from any Ethernet address.
    #[error("port {port} is not held to {mac}: {place} has {lack}")]
    MacCheck {
        /// The port of the bridge.
        port: String,
        /// The only address that should be able to send by it.
        mac: Mac,
        /// The table.
        place: String,
        /// What it has not.
        lack: &'static str,
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
    /// The same of a chain of iptables.
    pub(crate) fn in_iptables(self, chain: &str) -> Self {
        match self {
            Self::Masquerading { address, .. } => Self::Masquerading {
                address,
                place: format!("chain {chain} of iptables"),
                lack: NO_RULES,
            },
            other @ Self::MacCheck { .. } => other,
        }
    }
}

impl Nftables {
    /// What is missing of what [`Nftables::masquerade`] made; `None` if it is all there.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn missing_masquerading(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: &[IpNetwork],
    ) -> Result<Option<Missing>, FirewallError> {
        let owner = Owner {
            network,
            attachment,
        };
        for address in addresses.iter().filter(|address| address.prefix() > 0) {
            let holding = Holding::Address(*address);
            if let Some(lack) = self.lack(owner, holding)? {
                return Ok(Some(Missing::Masquerading {
                    address: *address,
                    place: format!("table {}", holding.table()),
                    lack,
                }));
            }
        }
        Ok(None)
    }

    /// What is missing of what [`Nftables::allow_only_mac`] made; `None` if it is all there.
    ///
    /// # Errors
    /// [`FirewallError::PortName`], and if the kernel does not tell.
    pub fn missing_mac_check(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        port: &str,
        mac: Mac,
    ) -> Result<Option<Missing>, FirewallError> {
        let owner = Owner {
            network,
            attachment,
        };
        let holding = Holding::port(port, mac);
        let holding = holding.ok_or_else(|| FirewallError::PortName(port.to_owned()))?;
        let lack = self.lack(owner, holding)?;
        Ok(lack.map(|lack| Missing::MacCheck {
            port: port.to_owned(),
            mac,
            place: format!("table {}", holding.table()),
            lack,
        }))
    }

    /// Whether an attachment has any address that our tables masquerade, or should.
    pub(crate) fn holds_addresses(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<bool, FirewallError> {
        let owner = Owner {
            network,
            attachment,
        };
        let (records, _) = self.records_of(owner, &Table::MASQUERADE)?;
        Ok(!records.is_empty())
    }

    fn lack(
        &mut self,
        owner: Owner<'_>,
        holding: Holding,
    ) -> Result<Option<&'static str>, FirewallError> {
        let table = holding.table();
        let (records, _) = self.records_of(owner, &[table])?;
        let is_it = |record: &&Record| record.holding == Some(holding);
        let Some(record) = records.iter().find(is_it) else {
            return Ok(Some(NO_ELEMENT));
        };
        let questions: Vec<_> = holding.elements().iter().map(|it| it.find()).collect();
        let is_its = |comment: &str| RecordKey::of_comment(comment) == Some(record.key);
        let found = self.ask(&questions)?;
        if !found
            .iter()
            .all(|it| it.as_ref().is_some_and(|it| is_its(&it.comment)))
        {
            return Ok(Some(NO_ELEMENT));
        }
        let is_intact = self.are_intact(&sets_of(&[holding]))?;
        Ok((!is_intact).then_some(NO_RULES))
    }
}
