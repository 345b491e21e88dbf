use cni_types::{Attachment, NetworkName, ValidAttachments};
use ipnetwork::IpNetwork;
use netlink::{Answer, Mac, NetlinkError, Protocol, Socket};
use nix::errno::Errno;
use std::collections::HashSet;

use crate::FirewallError;
use crate::element::Found;
use crate::holding::Holding;
use crate::owner::{MOST_HOLDINGS, Owner, RecordKey};
use crate::step;
use crate::survey::{Plan, Record, place, sets_of};
use crate::table::Table;

/// How often a transaction is tried whose subject others change at the same time. Each time one of them has succeeded.
const ATTEMPTS: usize = 64;

/// How many attachments' things one transaction of a collection removes: the kernel has room in a socket for as many
/// refusals as that can bring.
const COLLECTED_AT_ONCE: usize = 64;

/// Rules in the kernel's nftables, of the network namespace that this was opened in.
///
/// Every operation is one transaction, and needs no lock. A transaction is built on what is thought to be there, and fails as
/// a whole where it is not so: nothing is made that exists, nothing removed that does not. What belongs to an
/// attachment, moreover, is only removed or replaced along with the record that says so.
#[derive(Debug)]
pub struct Nftables {
    /// `None` on a kernel without netfilter's netlink.
    pub(crate) socket: Option<Socket>,
}

impl Nftables {
    /// For the network namespace that the calling thread is in.
    ///
    /// # Errors
    /// If there is no socket to be had. A kernel without nftables is no error yet: there is nothing to remove in it.
    pub fn open() -> Result<Self, FirewallError> {
        match Socket::open(Protocol::Netfilter) {
            Ok(socket) => Ok(Self {
                socket: Some(socket),
            }),
            Err(NetlinkError::Socket {
                errno: Errno::EPROTONOSUPPORT,
                ..
            }) => Ok(Self { socket: None }),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets what an attachment sends from its addresses leave with the node's address, unless it is for the address's own
    /// network, which its prefix tells, or for a multicast group.
    ///
    /// An attachment that had addresses has these instead, and one that had any of these has them no more.
    ///
    /// # Errors
    /// [`FirewallError::Unsupported`] and others; then nothing has changed.
    pub fn masquerade(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: &[IpNetwork],
    ) -> Result<(), FirewallError> {
        let mut holdings = Vec::new();
        for address in addresses {
            let holding = Holding::Address(*address);
            // Nothing is outside of a network that is everything.
            if address.prefix() > 0 && !holdings.contains(&holding) {
                holdings.push(holding);
            }
        }
        let owner = Owner {
            network,
            attachment,
        };
        self.hold(owner, &Table::MASQUERADE, &holdings)
    }

    /// Drops whatever comes in by a bridge's port from another Ethernet address than this one.
    ///
    /// # Errors
    /// [`FirewallError::PortName`], [`FirewallError::Unsupported`] and others; then nothing has changed.
    pub fn allow_only_mac(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        port: &str,
        mac: Mac,
    ) -> Result<(), FirewallError> {
        let holding = Holding::port(port, mac);
        let holding = holding.ok_or_else(|| FirewallError::PortName(port.to_owned()))?;
        let owner = Owner {
            network,
            attachment,
        };
        self.hold(owner, &[Table::MacSpoof], &[holding])
    }

    /// Removes all that [`Nftables::masquerade`] and [`Nftables::allow_only_mac`] did for an attachment, and reports whether the
    /// former had done anything. If there is nothing, this is one look.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub fn remove(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<bool, FirewallError> {
        let owner = Owner {
            network,
            attachment,
        };
        let mut is_checked = false;
        let mut was_masqueraded = false;
        self.until_done(|this| {
            let (mut records, flushed) = this.records_of(owner, &Table::ALL)?;
            if !flushed.is_empty() {
                // The elements say what there was. If even they cannot be put in order, the rest can be removed.
                let repair = |table: &Table| drop(this.repair_table(*table));
                flushed.iter().for_each(repair);
                (records, _) = this.records_of(owner, &Table::ALL)?;
            }
            was_masqueraded |= records.iter().any(|it| it.table != Table::MacSpoof);
            let doomed = this.elements_of(&records, is_checked)?;
            is_checked = true;
            this.commit(Plan::removal(&doomed))
        })?;
        Ok(was_masqueraded)
    }

    /// Removes all that was done for attachments of a network that are not valid any more, after a [`repair`](Self::repair),
    /// and the tables in which nothing is left.
    ///
    /// # Errors
    /// If the kernel refuses; then some may have been removed.
    pub fn collect(
        &mut self,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<(), FirewallError> {
        let valid: HashSet<RecordKey> = valid
            .iter()
            .map(|it| RecordKey::new(network.as_str(), &it.container_id, &it.ifname))
            .collect();
        for table in Table::ALL {
            self.repair_table(table)?;
            let mut is_checked = false;
            self.until_done(|this| {
                let mut stale = this.list(table)?;
                stale.retain(|record| {
                    record.key.is_of_network(network) && !valid.contains(&record.key.with_number(0))
                });
                for records in stale.chunks(COLLECTED_AT_ONCE) {
                    let doomed = this.elements_of(records, is_checked)?;
                    if let Some(overtaken) = this.commit(Plan::removal(&doomed))? {
                        is_checked = true;
                        return Ok(Some(overtaken));
                    }
                }
                Ok(None)
            })?;
            self.remove_if_unused(table)?;
        }
        Ok(())
    }

    /// Makes an attachment hold this and nothing else in some of the tables.
    fn hold(
        &mut self,
        owner: Owner<'_>,
        tables: &[Table],
        holdings: &[Holding],
    ) -> Result<(), FirewallError> {
        if holdings.is_empty() {
            return Ok(());
        }
        let first = owner.key();
        let mut additions = Vec::new();
        for table in tables {
            let here = || holdings.iter().filter(|holding| holding.table() == *table);
            if here().count() > MOST_HOLDINGS {
                return Err(FirewallError::TooManyAddresses(here().count()));
            }
            for (number, holding) in here().enumerate() {
                let key = first.with_number(number);
                let record = place(*table, key);
                additions.push(record.add(Some(&holding.data()), &owner.in_words()));
                let (elements, comment) = (holding.elements(), owner.comment(key));
                additions.extend(elements.iter().map(|it| it.add(None, &comment)));
            }
        }
        let needed = sets_of(holdings);
        let mut is_first = true;
        self.until_done(|this| {
            // At first as if all sets were there and nobody held any of it, which is mostly so. The transaction fails where it is
            // not; but no element fails for what somebody has flushed.
            let is_plain = std::mem::take(&mut is_first) && this.are_intact(&needed)?;
            let mut plan = if is_plain {
                Plan::default()
            } else {
                this.make_way(owner, tables, holdings)?
            };
            plan.steps.extend(additions.iter().cloned());
            this.commit(plan)
        })
    }

    /// What a table says that attachments hold.
    fn list(&mut self, table: Table) -> Result<Vec<Record>, FirewallError> {
        let found = self.elements_in(table.owners())?;
        let record = |found: Found| {
            let key = RecordKey::of_bytes(&found.key)?;
            Some(Record::new(table, key, &found))
        };
        Ok(found.into_iter().filter_map(record).collect())
    }

    /// Repeats an attempt until others do not come in between.
    pub(crate) fn until_done(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<Option<NetlinkError>, FirewallError>,
    ) -> Result<(), FirewallError> {
        let mut attempts = 0;
        loop {
            match attempt(self)? {
                None => return Ok(()),
                Some(overtaken) if attempts == ATTEMPTS => {
                    return Err(FirewallError::Contended(overtaken));
                }
                Some(_) => attempts += 1,
            }
        }
    }

    /// Carries out a transaction. If the state is not what it was taken for, nothing is changed, and the kernel's reason
    /// is returned.
    pub(crate) fn commit(&mut self, plan: Plan) -> Result<Option<NetlinkError>, FirewallError> {
        let mut steps = plan.steps;
        let (Some(first), Some(last)) = (steps.first().map(|step| step.table), steps.last_mut())
        else {
            return Ok(None);
        };
        last.request.answer = Answer::Acknowledgement;
        let Some(socket) = &mut self.socket else {
            let cause = NetlinkError::Socket {
                action: "open",
                errno: Errno::EPROTONOSUPPORT,
            };
            return Err(FirewallError::refused(first, cause));
        };
        let (begin, end) = (step::begin(plan.generation), step::end());
        let mut requests = vec![&begin];
        requests.extend(steps.iter().map(|step| &step.request));
        requests.push(&end);
        let refusals = socket.exchange(&requests, |_, _| Ok(()))?;
        // What follows the first one follows from it.
        let Some((position, cause)) = refusals.into_iter().next() else {
            return Ok(None);
        };
        let step = position.checked_sub(1).and_then(|place| steps.get(place));
        match (step, cause.errno()) {
            (Some(step), Some(errno)) if step.is_overtaken(errno) => Ok(Some(cause)),
            (None, Some(Errno::ERESTART)) => Ok(Some(cause)),
            (step, _) => Err(FirewallError::refused(
                step.map_or(first, |step| step.table),
                cause,
            )),
        }
    }
}
