//! Adding and removing an attachment's port map.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use cni_types::{Attachment, NetworkName, ValidAttachments};

use crate::edit::{Edit, Transaction};
use crate::element::Element;
use crate::kernel::Kernel;
use crate::layout::octets;
use crate::owner::{MOST_PLACES, NetworkAttachment, RecordKey};
use crate::port_map::claim::{Claim, Entry, Target};
use crate::port_map::content::{Elements, Holder, Holders, addition, difference};
use crate::port_map::loopback::Towards;
use crate::port_map::{PortMap, PortMapping};
use crate::record::record_element;
use crate::repair::words_of_edits;
use crate::table::{Set, SetKind, Table};
use crate::{FirewallError, Nftables};

/// The most elements in a transaction of the fast path; the socket buffer holds that many errors.
const MOST_ASSUMED: usize = 128;

/// A mapping that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped {
    /// The mapping.
    pub mapping: PortMapping,
    /// The container's address.
    pub target: IpAddr,
}

/// The intended port map of an attachment in a table.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) holder: Holder,
    /// The sets that it needs.
    pub(crate) sets: BTreeSet<Set>,
}

impl Nftables {
    /// Maps ports of the node's addresses to a container.
    ///
    /// This replaces the attachment's former port map. A port that another attachment has is this
    /// one's until it is removed; then the other one gets it back. `node` contains the node's
    /// addresses whose ports are mapped, if these are not all: in kube-proxy's IPVS mode, addresses
    /// of services are the node's, too.
    ///
    /// Returns whether the attachment had a port map before.
    ///
    /// # Errors
    /// [`FirewallError::TooManyMappings`], [`FirewallError::Unsupported`] and others; then nothing
    /// has changed.
    pub fn map_ports(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        map: &PortMap<'_>,
        node: Option<&[IpAddr]>,
    ) -> Result<bool, FirewallError> {
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        let mut parts = parts_of(owner, map)?;
        if node.is_some() {
            for (table, part) in &mut parts {
                part.sets.insert(table.set(SetKind::Node));
            }
        }
        if parts.is_empty() {
            return Ok(false);
        }
        let first = owner.key().with_place(0);
        let is_small = |part: &Part| part.holder.claims.len() * 2 < MOST_ASSUMED;
        let mut is_first = parts.values().all(is_small);
        let mut is_repeated = false;
        self.kernel.until_done(|kernel| {
            let needed = parts
                .iter()
                .map(|(table, part)| (*table, part.sets.clone()));
            let needed: BTreeMap<_, _> = needed.collect();
            // The first attempt assumes that no attachment has any of the ports, which is almost
            // always true; otherwise the transaction fails. A flush does not make it fail, so the
            // tables are checked.
            let is_plain = std::mem::take(&mut is_first)
                && kernel.are_intact(&needed)?
                && kernel.are_complete(needed.keys().copied())?;
            let mut transaction = if is_plain {
                let mut edits = Vec::new();
                for (table, part) in &parts {
                    edits.push(table.wake());
                    let alone = Holders::alone(first, part.holder.clone());
                    edits.extend(
                        alone
                            .elements(*table)
                            .iter()
                            .map(|(it, value)| addition(it, value)),
                    );
                }
                Transaction::of(edits)
            } else {
                let generation = kernel.generation()?;
                let mut edits = Vec::new();
                for table in Table::PORT_MAP {
                    let Some(part) = parts.get(&table) else {
                        edits.extend(kernel.forget(table, &first)?);
                        continue;
                    };
                    let give = |holders: &mut Holders| {
                        is_repeated |= holders.get(&first).is_some();
                        holders.give(table, first, part.holder.clone());
                    };
                    edits.extend(kernel.plan(table, &part.sets, give)?);
                }
                Transaction { edits, generation }
            };
            if let Some(node) = node {
                for table in parts.keys() {
                    transaction.edits.extend(kernel.node_edits(*table, node)?);
                }
            }
            kernel.commit(transaction)
        })?;
        Ok(is_repeated)
    }

    /// Removes what [`Nftables::map_ports`] did for an attachment, and returns the mappings that it
    /// had. If no ports are mapped at all, this takes one exchange.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub fn unmap_ports(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<Vec<Unmapped>, FirewallError> {
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        let first = owner.key().with_place(0);
        let mut unmapped = Vec::new();
        let mut is_first = true;
        self.kernel.until_done(|kernel| {
            unmapped.clear();
            if std::mem::take(&mut is_first)
                && let Some(removal) = kernel.plain_removal(first, &mut unmapped)?
            {
                return kernel.commit(Transaction::of(removal));
            }
            unmapped.clear();
            let generation = kernel.generation()?;
            let mut edits = Vec::new();
            for table in kernel.tables_with_port_maps()? {
                let forget = |holders: &mut Holders| {
                    let holder = holders.get(&first);
                    let claims = holder.iter().flat_map(|holder| holder.claims.values());
                    unmapped.extend(claims.map(Unmapped::of));
                    holders.retain(|key| *key != first);
                };
                edits.extend(kernel.plan(table, &BTreeSet::new(), forget)?);
            }
            kernel.commit(Transaction { edits, generation })
        })?;
        Ok(unmapped)
    }

    /// Repairs the tables of port maps, removes the port maps of a network's stale attachments, and
    /// removes the tables that have become empty. Returns the mappings that were removed.
    ///
    /// # Errors
    /// If the kernel refuses; then a part may have been removed.
    pub fn gc_port_maps(
        &mut self,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<Vec<Unmapped>, FirewallError> {
        let of_network = RecordKey::of_network(network.as_str());
        let valid = LazyCell::new(|| -> HashSet<RecordKey> {
            let keys = valid
                .iter()
                .map(|it| of_network.with_attachment(&it.container_id, &it.ifname));
            keys.map(|key| key.with_place(0)).collect()
        });
        let stays = |key: &RecordKey| !key.is_of_same_network(&of_network) || valid.contains(key);
        let mut unmapped = Vec::new();
        for table in self.kernel.tables_with_port_maps()? {
            let mut removed = Vec::new();
            self.kernel.until_done(|kernel| {
                removed.clear();
                let generation = kernel.generation()?;
                let edits = kernel.plan(table, &BTreeSet::new(), |holders| {
                    removed.extend(holders.claims_unless(stays).map(Unmapped::of));
                    holders.retain(stays);
                })?;
                kernel.commit(Transaction { edits, generation })
            })?;
            unmapped.append(&mut removed);
            let containers: Vec<IpAddr> = unmapped.iter().map(|it: &Unmapped| it.target).collect();
            let towards = Towards {
                containers: &containers,
                ..Towards::default()
            };
            self.kernel.remove_if_unused(table, towards)?;
        }
        Ok(unmapped)
    }
}

impl Unmapped {
    fn of(claim: &Claim) -> Self {
        Self {
            mapping: claim.mapping,
            target: claim.target,
        }
    }
}

/// The intended port map of an attachment in each table.
pub(crate) fn parts_of(
    owner: NetworkAttachment<'_>,
    map: &PortMap<'_>,
) -> Result<BTreeMap<Table, Part>, FirewallError> {
    let first = owner.key().with_place(0);
    let mut parts = BTreeMap::new();
    for table in Table::PORT_MAP {
        let Some((address, mappings)) = map.part(table) else {
            continue;
        };
        if mappings.len() >= MOST_PLACES {
            return Err(FirewallError::TooManyMappings(mappings.len()));
        }
        let conditions = map.conditions(table);
        let token = conditions.map(|conditions| conditions.token());
        let claim = |mapping: &PortMapping| Claim {
            mapping: PortMapping {
                host_ip: mapping.host_ip.filter(|ip| !ip.is_unspecified()),
                ..*mapping
            },
            target: address.ip(),
            token,
            rank: 0,
        };
        let holder = Holder {
            words: owner.in_words(),
            target: Target {
                address,
                snat: map.snat,
                count: mappings.len(),
            },
            claims: (1..).zip(mappings.into_iter().map(claim)).collect(),
        };
        let alone = Holders::alone(first, holder.clone()).elements(table);
        // All sets that the table has from the start are checked for a flush.
        let mut sets: BTreeSet<Set> = table.sets().collect();
        sets.extend(alone.keys().map(|element| element.set));
        if let Some(conditions) = conditions {
            sets.insert(table.set(SetKind::Conditions(conditions)));
            sets.insert(table.set(SetKind::Addresses(token)));
            sets.insert(table.set(SetKind::HostPorts(token)));
        }
        parts.insert(table, Part { holder, sets });
    }
    Ok(parts)
}

impl Kernel {
    /// The tables of port maps that exist.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn tables_with_port_maps(&mut self) -> Result<Vec<Table>, FirewallError> {
        let answers = self.ask(&Table::PORT_MAP)?;
        let existing = Table::PORT_MAP.into_iter().zip(answers);
        let existing = existing.filter(|(_, answer)| answer.is_some());
        Ok(existing.map(|(table, _)| table).collect())
    }

    /// Repairs a table if it exists. Returns the descriptions of the edits.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub(crate) fn repair_port_map(&mut self, table: Table) -> Result<Vec<String>, FirewallError> {
        let mut done = Vec::new();
        self.until_done(|this| {
            let generation = this.generation()?;
            let edits = this.edits_of_port_map_repair(table)?;
            done = words_of_edits(&edits);
            this.commit(Transaction { edits, generation })
        })?;
        Ok(done)
    }

    /// The edits that repair a table; none if it does not exist.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn edits_of_port_map_repair(
        &mut self,
        table: Table,
    ) -> Result<Vec<Edit>, FirewallError> {
        if !self.frame(table)?.exists {
            return Ok(Vec::new());
        }
        self.plan(table, &BTreeSet::new(), |_| {})
    }

    /// Checks that the kernel supports a table: the table exists, or the kernel accepts its
    /// creation in a transaction without an end, which it does not carry out.
    ///
    /// # Errors
    /// [`FirewallError::Unsupported`] and others.
    pub(crate) fn probe_port_map(&mut self, table: Table) -> Result<(), FirewallError> {
        if self.frame(table)?.exists {
            return Ok(());
        }
        let edits = self
            .table_state(table, &BTreeSet::new())?
            .frame_edits(table);
        self.rehearse(Transaction::of(edits))
    }

    /// The edits that repair a table, creating it if it does not exist, and carry out a change of
    /// its port maps. This reads the whole table.
    fn plan(
        &mut self,
        table: Table,
        sets: &BTreeSet<Set>,
        change: impl FnOnce(&mut Holders),
    ) -> Result<Vec<Edit>, FirewallError> {
        let mut state = self.table_state(table, sets)?;
        let present = self.elements_of_sets(&state.existing)?;
        let mut holders = Holders::of(table, &present);
        change(&mut holders);
        let wanted = holders.elements(table);
        let sets = wanted.keys().map(|element| element.set);
        state.needed.extend(sets);
        let mut edits = state.frame_edits(table);
        edits.extend(difference(table, &present, &wanted));
        Ok(edits)
    }

    /// The edits that remove an attachment's port map from a table; none if there is none.
    fn forget(&mut self, table: Table, first: &RecordKey) -> Result<Vec<Edit>, FirewallError> {
        if self.ask_one(&record_element(table, *first))?.is_none() {
            return Ok(Vec::new());
        }
        self.plan(table, &BTreeSet::new(), |holders| {
            holders.retain(|key| key != first);
        })
    }

    /// The fast path of a DEL: the removal of the elements that an attachment's records name.
    /// `None` if another claim of one of its ports waits, or one of its own does.
    fn plain_removal(
        &mut self,
        first: RecordKey,
        unmapped: &mut Vec<Unmapped>,
    ) -> Result<Option<Vec<Edit>>, FirewallError> {
        let mut doomed = Vec::new();
        for table in self.tables_with_port_maps()? {
            /// Most attachments have no more mappings, so that one exchange is enough.
            const USUAL: usize = 3;
            let owners = table.owners();
            let record = |place: usize| record_element(table, first.with_place(place));
            let mut elements = vec![owners.witness()];
            elements.extend((0..=USUAL).map(record));
            let mut answers = self.ask(&elements)?.into_iter();
            let is_flushed = answers.next().flatten().is_none();
            let mut records: Vec<_> = answers.collect();
            if is_flushed {
                return Ok(None);
            }
            let entry = |listed: &Option<crate::element::ListedElement>| {
                let listed = listed.as_ref()?;
                Entry::of_data(table, &listed.data)
            };
            let Some(Entry::Target(target)) = records.first().and_then(entry) else {
                if records.iter().any(Option::is_some) {
                    return Ok(None);
                }
                continue;
            };
            if target.count * 2 >= MOST_ASSUMED {
                return Ok(None);
            }
            let others: Vec<_> = (USUAL + 1..=target.count).map(record).collect();
            records.extend(self.ask(&others)?);
            doomed.push(record(0));
            doomed.extend(target.elements(table));
            for place in 1..=target.count {
                let Some(Entry::Claim(claim)) = records.get(place).and_then(entry) else {
                    return Ok(None);
                };
                unmapped.push(Unmapped::of(&claim));
                doomed.extend([record(place), claim.element(table).0]);
            }
            if !self.elements_in(table.set(SetKind::Waiting))?.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(doomed.iter().map(Element::delete).collect()))
    }

    /// The edits that set a table's set of the node's addresses.
    fn node_edits(&mut self, table: Table, node: &[IpAddr]) -> Result<Vec<Edit>, FirewallError> {
        let set = table.set(SetKind::Node);
        let comment = "an address of the node".to_owned();
        let of_family = node.iter().filter(|ip| ip.is_ipv6() == table.is_ipv6());
        let wanted: Elements = of_family
            .map(|ip| {
                let key = octets(*ip);
                (Element { set, key }, (Vec::new(), comment.clone()))
            })
            .collect();
        let present = self.elements_in(set)?.into_iter();
        let present: BTreeSet<Element> = present.map(|it| Element { set, key: it.key }).collect();
        let stale = present.iter().filter(|it| !wanted.contains_key(it));
        let mut edits: Vec<_> = stale.map(Element::delete).collect();
        let missing = wanted.iter().filter(|(it, _)| !present.contains(it));
        edits.extend(missing.map(|(element, value)| addition(element, value)));
        Ok(edits)
    }
}
