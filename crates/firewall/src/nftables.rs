//! Masquerading and MAC checks by nftables: granting, removing and GC.

use std::cell::LazyCell;
use std::collections::HashSet;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::FirewallError;
use crate::edit::Transaction;
use crate::element::Element;
use crate::grant::{Grant, tables_of};
use crate::kernel::Kernel;
use crate::owner::{MOST_GRANTS, NetworkAttachment, RecordKey};
use crate::port_map::loopback::Towards;
use crate::record::record_element;
use crate::table::Table;

/// The number of records that one transaction of a GC removes. A socket's buffer holds that many
/// errors.
const COLLECTED_AT_ONCE: usize = 64;

/// The rules in the kernel's nftables, of the network namespace in which this was opened.
///
/// Every operation is one transaction and takes no lock. A transaction assumes a state of the
/// ruleset, and fails as a whole if the state is another: it creates nothing that exists, and
/// removes nothing that does not. Moreover, an attachment's elements are only removed or replaced
/// together with their record, which names the attachment.
#[derive(Debug)]
pub struct Nftables {
    pub(crate) kernel: Kernel,
}

impl Nftables {
    /// Opens nftables in the calling thread's network namespace.
    ///
    /// # Errors
    /// If the kernel gives no socket. A kernel without nftables is no error here: it contains
    /// nothing to remove.
    pub fn open() -> Result<Self, FirewallError> {
        let kernel = Kernel::open()?;
        Ok(Self { kernel })
    }

    /// Masquerades packets from these addresses of an attachment, except to the address's own
    /// network, which its prefix gives, and to multicast groups.
    ///
    /// These addresses replace the attachment's former ones. An address that belonged to another
    /// attachment is moved to this one.
    ///
    /// # Errors
    /// [`FirewallError::Unsupported`] and others; then nothing has changed.
    pub fn masquerade(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: &[IpNetwork],
    ) -> Result<(), FirewallError> {
        let mut grants = Vec::new();
        for address in addresses {
            let grant = Grant::Address(*address);
            // No address is outside a network of all addresses.
            if address.prefix() > 0 && !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        self.give(owner, &Table::MASQUERADE, &grants)
    }

    /// Drops frames that come in through a port of a bridge from any other MAC than this one.
    ///
    /// # Errors
    /// [`FirewallError::PortName`], [`FirewallError::Unsupported`] and others; then nothing has
    /// changed.
    pub fn allow_only_mac(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        port: &str,
        mac: Mac,
    ) -> Result<(), FirewallError> {
        let grant = Grant::port(port, mac);
        let grant = grant.ok_or_else(|| FirewallError::PortName(port.to_owned()))?;
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        self.give(owner, &[Table::MacSpoof], &[grant])
    }

    /// Removes all that [`Nftables::masquerade`] and [`Nftables::allow_only_mac`] did for an
    /// attachment, and returns whether any address was masqueraded. If there is nothing, this takes
    /// two or three exchanges.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub fn remove(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<bool, FirewallError> {
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        let mut is_checked = false;
        let mut was_masqueraded = false;
        self.kernel.until_done(|kernel| {
            let mut records = kernel.records_of(owner, &Table::OF_LINKS)?;
            let has_none = |table: &Table| !records.iter().any(|it| it.table == *table);
            let without: Vec<_> = Table::OF_LINKS.into_iter().filter(has_none).collect();
            let flushed = kernel.tables_without_records(&without)?;
            if !flushed.is_empty() {
                // Lost records are rebuilt from elements. A table that cannot be repaired must not
                // keep the other ones from being cleaned up.
                for table in flushed {
                    drop(kernel.repair_table(table));
                }
                records = kernel.records_of(owner, &Table::OF_LINKS)?;
            }
            was_masqueraded |= records.iter().any(|it| it.table != Table::MacSpoof);
            let doomed = kernel.elements_of(&records, is_checked)?;
            is_checked = true;
            kernel.commit(Transaction::of(doomed.iter().map(Element::delete)))
        })?;
        Ok(was_masqueraded)
    }

    /// [Repairs](Self::repair) all tables, removes the elements and records of a network's stale
    /// attachments, and removes the tables that have become empty.
    ///
    /// # Errors
    /// If the kernel refuses; then a part may have been removed.
    pub fn gc(
        &mut self,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<(), FirewallError> {
        // Digests are only computed when there is a record to compare them with.
        let of_network = RecordKey::of_network(network.as_str());
        let valid = LazyCell::new(|| -> HashSet<RecordKey> {
            let keys = valid
                .iter()
                .map(|it| of_network.with_attachment(&it.container_id, &it.ifname));
            keys.collect()
        });
        for table in Table::OF_LINKS {
            self.kernel.repair_table(table)?;
            let mut is_checked = false;
            self.kernel.until_done(|kernel| {
                let mut stale = kernel.records_in(table)?;
                stale.retain(|record| {
                    record.key.is_of_same_network(&of_network)
                        && !valid.contains(&record.key.with_number(0))
                });
                for records in stale.chunks(COLLECTED_AT_ONCE) {
                    let doomed = kernel.elements_of(records, is_checked)?;
                    let removal = Transaction::of(doomed.iter().map(Element::delete));
                    if let Some(overtaken) = kernel.commit(removal)? {
                        is_checked = true;
                        return Ok(Some(overtaken));
                    }
                }
                Ok(None)
            })?;
            self.kernel.remove_if_unused(table, Towards::default())?;
        }
        Ok(())
    }

    /// Removes those of this crate's tables that have nothing of an attachment and nothing of
    /// another program. That of port maps stays while it guards the node's loopback address, as on
    /// a link of another program; on those that lead to containers, `links` by their names,
    /// `route_localnet` is turned off.
    ///
    /// # Errors
    /// If the kernel refuses; then a part may have been removed.
    pub fn remove_unused_tables(&mut self, links: &[String]) -> Result<(), FirewallError> {
        let towards = Towards {
            links,
            ..Towards::default()
        };
        let mut tables = Table::OF_LINKS.into_iter().chain(Table::PORT_MAP);
        tables.try_for_each(|table| self.kernel.remove_if_unused(table, towards))
    }

    /// Restores the chains, rules and sets of this crate's tables that other programs removed, and
    /// rebuilds lost elements from their records and lost records from their elements. Tables that
    /// do not exist are not created.
    ///
    /// Returns the descriptions of the edits; none if nothing was missing.
    ///
    /// # Errors
    /// If the kernel refuses; then some tables may have been repaired.
    pub fn repair(&mut self) -> Result<Vec<String>, FirewallError> {
        let mut done = Vec::new();
        for table in Table::OF_LINKS {
            done.extend(self.kernel.repair_table(table)?);
        }
        for table in Table::PORT_MAP {
            done.extend(self.kernel.repair_port_map(table)?);
        }
        Ok(done)
    }

    /// Gives an attachment these grants, and nothing else in these tables.
    fn give(
        &mut self,
        owner: NetworkAttachment<'_>,
        tables: &[Table],
        grants: &[Grant],
    ) -> Result<(), FirewallError> {
        if grants.is_empty() {
            return Ok(());
        }
        let first = owner.key();
        let mut additions = Vec::new();
        for table in tables {
            let here: Vec<_> = grants.iter().filter(|it| it.table() == *table).collect();
            if here.len() > MOST_GRANTS {
                return Err(FirewallError::TooManyAddresses(here.len()));
            }
            for (number, grant) in here.into_iter().enumerate() {
                let key = first.with_number(number);
                let record = record_element(*table, key);
                additions.push(record.add(Some(&grant.data()), &owner.in_words()));
                let (elements, comment) = (grant.elements(), owner.comment(key));
                additions.extend(elements.iter().map(|it| it.add(None, &comment)));
            }
        }
        let needed = tables_of(grants);
        let mut is_first = true;
        self.kernel.until_done(|kernel| {
            // The first attempt assumes that no attachment has any of the grants, which is almost
            // always true; otherwise the transaction fails. A flush does not make it fail, so the
            // tables are checked.
            let is_plain = std::mem::take(&mut is_first)
                && kernel.are_intact(&needed)?
                && kernel.are_complete(needed.keys().copied())?;
            let mut transaction = if is_plain {
                Transaction::of(needed.keys().map(|table| table.wake()))
            } else {
                kernel.prepare(owner, tables, grants)?
            };
            transaction.edits.extend(additions.iter().cloned());
            kernel.commit(transaction)
        })
    }
}
