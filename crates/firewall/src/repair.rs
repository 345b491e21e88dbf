//! Restores rules and elements that other programs removed.
//!
//! Records and elements hold the same facts: lost elements are rebuilt from their record, and a
//! lost record from its elements. If both are lost, they stay so until their attachment is added
//! again.

use std::collections::{BTreeMap, BTreeSet};

use crate::edit::{Edit, Message, Transaction};
use crate::element::{Element, ListedElement};
use crate::frame::{ChainState, Frame, are_right, rules_of};
use crate::grant::Grant;
use crate::kernel::Kernel;
use crate::owner::{RecordKey, comment, words_of};
use crate::port_map::loopback::Towards;
use crate::record::{Record, record_element};
use crate::rule::{ListedRule, Rule, compare};
use crate::schema::ChainRules;
use crate::table::{Set, Table};
use crate::{FirewallError, Iptables};

/// How often a table is looked at that others change meanwhile.
const LOOKS: usize = 5;

/// The changes of a transaction beside the repair, which leaves these elements alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// The key of the first record of the attachment concerned; all its other elements are stale.
    pub(crate) owner: Option<RecordKey>,
    /// Elements to add.
    pub(crate) wanted: BTreeSet<Element>,
    /// Elements to remove.
    pub(crate) doomed: BTreeSet<Element>,
}

/// The state of a table, and the sets that it should have.
#[derive(Debug)]
pub(crate) struct TableState {
    pub(crate) frame: Frame,
    /// The sets that exist.
    pub(crate) existing: BTreeSet<Set>,
    /// Those of them without their witness.
    unwitnessed: BTreeSet<Set>,
    rules: Vec<ListedRule>,
    /// The sets that the table should have.
    pub(crate) needed: BTreeSet<Set>,
    /// Whether anything is missing or out of order in an existing table.
    pub(crate) is_damaged: bool,
}

/// All elements of a table.
#[derive(Debug, Default)]
struct Content {
    records: BTreeMap<RecordKey, ListedElement>,
    /// The elements that rules look up.
    elements: BTreeMap<Element, ListedElement>,
}

/// Elements to add, each with its data and its comment.
type Lost = BTreeMap<Element, (Option<Vec<u8>>, String)>;

impl Intent {
    /// Whether the transaction changes an element of a record anyway.
    fn concerns(&self, element: &Element, key: RecordKey) -> bool {
        self.doomed.contains(element)
            || self.wanted.contains(element)
            || self.owner == Some(key.with_number(0))
    }
}

impl Kernel {
    /// Repairs a table if it exists. Returns the descriptions of the edits.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub(crate) fn repair_table(&mut self, table: Table) -> Result<Vec<String>, FirewallError> {
        let mut done = Vec::new();
        self.until_done(|this| {
            let generation = this.generation()?;
            let edits = this.edits_of_repair(table)?;
            done = words_of_edits(&edits);
            this.commit(Transaction { edits, generation })
        })?;
        Ok(done)
    }

    /// What [`Nftables::repair`](crate::Nftables::repair) would do in a table, as the descriptions
    /// of the edits; nothing if others change the tables all the time.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn missing_in(&mut self, table: Table) -> Result<Vec<String>, FirewallError> {
        for _ in 0..LOOKS {
            let generation = self.generation()?;
            let edits = if Table::PORT_MAP.contains(&table) {
                self.edits_of_port_map_repair(table)?
            } else {
                self.edits_of_repair(table)?
            };
            if self.generation()? == generation {
                return Ok(words_of_edits(&edits));
            }
        }
        Ok(Vec::new())
    }

    /// The edits that repair a table; none if it does not exist.
    fn edits_of_repair(&mut self, table: Table) -> Result<Vec<Edit>, FirewallError> {
        if !self.frame(table)?.exists {
            return Ok(Vec::new());
        }
        let mut intent = Intent::default();
        let mut edits = self.repair_edits(table, &BTreeSet::new(), &mut intent, true)?;
        edits.extend(intent.doomed.iter().map(Element::delete));
        Ok(edits)
    }

    /// Removes a table that contains nothing but its frame. A table with objects of other programs
    /// stays, and one that guards the node's loopback address while a link lets packets for it in.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub(crate) fn remove_if_unused(
        &mut self,
        table: Table,
        towards: Towards<'_>,
    ) -> Result<(), FirewallError> {
        // If another process adds something meanwhile, the generation changes, and the removal
        // fails.
        let Some(generation) = self.generation()? else {
            return Ok(());
        };
        let object_count = self.ask_one(&table)?.map(|it| it.object_count);
        let sets = self.sets_in(table)?;
        let chains_and_sets = table.chains().len() + sets.len();
        if object_count != Some(chains_and_sets as u32) {
            return Ok(());
        }
        for set in sets.iter().filter(|set| set.has_content()) {
            if !self.elements_in(*set)?.is_empty() {
                return Ok(());
            }
        }
        let rules = table.rules_with(&sets);
        let is_ours = |listed: &ListedRule| rules.iter().any(|it| it.has(listed));
        if !self.rules_in(table)?.iter().all(is_ours) {
            return Ok(());
        }
        let transaction = Transaction {
            edits: vec![table.delete()],
            generation: Some(generation),
        };
        if table != Table::PortMap4 {
            return self.commit(transaction).map(drop);
        }
        let open = self.open_links(towards)?;
        if !open.close() && Iptables.guards(self)?.is_empty() {
            return Ok(());
        }
        let removed = self.commit(transaction);
        // An ADD may have come first: it needs the setting.
        if !matches!(removed, Ok(None)) {
            open.reopen();
        }
        removed.map(drop)
    }

    /// The edits that repair a table, and that create it if it does not exist. `sets` are needed
    /// beside those that it has from the start. Because there may be many elements, they are only
    /// read if something else is missing in an existing table, or if `is_thorough`.
    ///
    /// Elements that the repair has to remove are added to those of the intent.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn repair_edits(
        &mut self,
        table: Table,
        sets: &BTreeSet<Set>,
        intent: &mut Intent,
        is_thorough: bool,
    ) -> Result<Vec<Edit>, FirewallError> {
        let mut state = self.table_state(table, sets)?;
        let mut lost = Lost::new();
        if state.is_damaged || is_thorough {
            lost = self.content(table, &state.existing)?.lost(table, intent);
            let sets = lost.keys().map(|element| element.set);
            state.needed.extend(sets);
        }
        let mut edits = state.frame_edits(table);
        let add = |(element, (data, comment)): (&Element, &(Option<Vec<u8>>, String))| {
            element.add(data.as_deref(), comment)
        };
        edits.extend(lost.iter().map(add));
        Ok(edits)
    }

    /// The state of a table that needs `sets` beside those that it has from the start.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn table_state(
        &mut self,
        table: Table,
        sets: &BTreeSet<Set>,
    ) -> Result<TableState, FirewallError> {
        let frame = self.frame(table)?;
        let existing = self.sets_in(table)?;
        let mut needed: BTreeSet<Set> = table.sets().chain(sets.iter().copied()).collect();
        let rules = self.rules_in(table)?;
        let unwitnessed = self.without_witness(&existing)?;
        let has_all_sets = needed.is_subset(&existing);
        needed.extend(&existing);
        let is_damaged = frame.exists
            && (!frame.is_complete()
                || !unwitnessed.is_empty()
                || !has_all_sets
                || !are_right(&table.rules_with(&needed), &rules));
        Ok(TableState {
            frame,
            existing,
            unwitnessed,
            rules,
            needed,
            is_damaged,
        })
    }

    fn content(
        &mut self,
        table: Table,
        existing: &BTreeSet<Set>,
    ) -> Result<Content, FirewallError> {
        let mut content = Content::default();
        for set in existing {
            for listed in self.elements_in(*set)? {
                if *set == table.owners() {
                    let key = RecordKey::of_bytes(&listed.key);
                    content.records.extend(key.map(|key| (key, listed)));
                } else {
                    let (set, key) = (*set, listed.key.clone());
                    content.elements.insert(Element { set, key }, listed);
                }
            }
        }
        Ok(content)
    }
}

impl Content {
    /// The missing elements of existing records, and the missing records of existing elements.
    fn lost(&self, table: Table, intent: &mut Intent) -> Lost {
        let mut lost = Lost::new();
        for (key, listed) in &self.records {
            let record = Record::new(table, *key, listed);
            let Some(grant) = record.grant else {
                continue;
            };
            if intent.concerns(&record.element(), *key) {
                continue;
            }
            let elements = grant.elements();
            if elements.iter().any(|it| intent.wanted.contains(it)) {
                // The transaction gives this grant to another attachment.
                intent.doomed.insert(record.element());
                let is_its = |it: &Element| self.key_of(it) == Some(*key);
                intent.doomed.extend(elements.into_iter().filter(is_its));
                continue;
            }
            for element in elements {
                if !self.elements.contains_key(&element) {
                    let comment = comment(*key, &listed.comment);
                    lost.entry(element).or_insert((None, comment));
                }
            }
        }
        for (element, listed) in &self.elements {
            let key = RecordKey::of_comment(&listed.comment);
            let Some(key) = key.filter(|key| !self.records.contains_key(key)) else {
                continue;
            };
            if intent.owner == Some(key.with_number(0)) {
                intent.doomed.insert(element.clone());
            } else if !intent.concerns(element, key)
                && let Some(grant) = Grant::of_element(element)
            {
                let words = words_of(&listed.comment).to_owned();
                let record = record_element(table, key);
                lost.entry(record).or_insert((Some(grant.data()), words));
            }
        }
        lost
    }

    /// The key of the record that an element belongs to.
    fn key_of(&self, element: &Element) -> Option<RecordKey> {
        RecordKey::of_comment(&self.elements.get(element)?.comment)
    }
}

impl TableState {
    /// The edits that repair the frame of the table, and that create it if it does not exist.
    pub(crate) fn frame_edits(&self, table: Table) -> Vec<Edit> {
        let mut edits = Vec::new();
        if !self.frame.exists {
            edits.push(table.create());
        }
        if self.frame.is_dormant {
            edits.push(table.wake());
        }
        for (chain, state) in table.chains().iter().zip(&self.frame.chains) {
            if *state == ChainState::Unhooked {
                edits.push(table.delete_chain(chain));
            }
            if *state != ChainState::Hooked {
                edits.push(table.create_chain(chain));
            }
        }
        // The sets that a table has from the start come first, in their order.
        let on_demand = self.needed.iter().copied().filter(Set::is_on_demand);
        for set in table.sets().chain(on_demand) {
            let is_missing = !self.existing.contains(&set);
            if is_missing {
                edits.push(set.create());
            }
            if set.has_witness() && (is_missing || self.unwitnessed.contains(&set)) {
                edits.push(set.add_witness());
            }
        }
        let chains = table.rules_with(&self.needed);
        for (rules, state) in chains.iter().zip(&self.frame.chains) {
            let left: Vec<_> = match state {
                ChainState::Hooked => rules_of(rules.chain, &self.rules).collect(),
                ChainState::Missing | ChainState::Unhooked => Vec::new(),
            };
            edits.extend(rule_edits(table, rules, &left));
        }
        edits
    }
}

/// The descriptions of edits.
pub(crate) fn words_of_edits(edits: &[Edit]) -> Vec<String> {
    edits.iter().map(|edit| edit.request.what.clone()).collect()
}

/// The edits that repair the rules of a chain.
fn rule_edits(table: Table, wanted: &ChainRules, listed: &[&ListedRule]) -> Vec<Edit> {
    let comparison = compare(wanted, listed);
    let may_be_appended = |rule: &&Rule| wanted.last.is_empty() && wanted.of_sets.contains(rule);
    if comparison.is_in_order && comparison.missing.iter().all(may_be_appended) {
        let append = |rule: &&Rule| table.append(wanted.chain, rule);
        return comparison.missing.iter().map(append).collect();
    }
    // The order matters, and the kernel only appends: remove all rules of this crate, and append
    // them again.
    let ours = listed.iter().filter(|it| wanted.has(it));
    let deletions = ours.map(|rule| {
        let what = format!("remove a rule of chain {} of table {table}", rule.chain);
        Message::DeleteRule.edit(table, what, rule.attributes(table.name()))
    });
    let additions = wanted.all().map(|rule| table.append(wanted.chain, rule));
    deletions.chain(additions).collect()
}
