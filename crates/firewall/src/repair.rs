//! Repairing a table, whatever others have taken out of it.
//!
//! Records and elements say the same twice: a record whose elements are gone gets them back, and
//! elements without a record get theirs. What neither says is lost until its attachment is added
//! again.

use std::collections::{BTreeMap, BTreeSet};

use crate::FirewallError;
use crate::edit::{Edit, Message, Transaction};
use crate::element::{Element, ListedElement};
use crate::frame::ChainState;
use crate::grant::Grant;
use crate::kernel::Kernel;
use crate::owner::{RecordKey, comment, words_of};
use crate::record::{Record, record_element};
use crate::rule::{ListedRule, Rule, compare};
use crate::table::{Set, Table};

/// What a transaction does beside the repair, which leaves these elements alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// The key of the first record of the attachment concerned; whatever else exists for it is
    /// stale.
    pub(crate) owner: Option<RecordKey>,
    /// Elements to add.
    pub(crate) wanted: BTreeSet<Element>,
    /// Elements to remove.
    pub(crate) doomed: BTreeSet<Element>,
}

/// All elements of a table.
#[derive(Debug, Default)]
struct Content {
    records: BTreeMap<RecordKey, ListedElement>,
    /// The elements that carry grants out.
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
            if !this.frame(table)?.exists {
                return Ok(None);
            }
            let mut intent = Intent::default();
            let mut edits = this.repair_edits(table, &BTreeSet::new(), &mut intent, true)?;
            edits.extend(intent.doomed.iter().map(Element::delete));
            done = edits.iter().map(|edit| edit.request.what.clone()).collect();
            this.commit(Transaction { edits, generation })
        })?;
        Ok(done)
    }

    /// Removes a table that contains nothing but its frame. A table with anything of others stays.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub(crate) fn remove_if_unused(&mut self, table: Table) -> Result<(), FirewallError> {
        // Whoever adds something meanwhile changes the generation, and then the table is in use.
        let Some(generation) = self.generation()? else {
            return Ok(());
        };
        let mut object_count = None;
        self.ask_each(&[table.find()], |_, reply| {
            object_count = Some(Table::object_count(reply)?);
            Ok(())
        })?;
        let sets = self.sets_in(table)?;
        let chain_and_sets = 1 + sets.len() as u32;
        if object_count != Some(chain_and_sets) {
            return Ok(());
        }
        for set in &sets {
            if !self.elements_in(*set)?.is_empty() {
                return Ok(());
            }
        }
        let (fixed, of_sets) = table.rules_with(&sets);
        let is_ours = |listed: &ListedRule| fixed.iter().chain(&of_sets).any(|it| it.is(listed));
        if !self.rules_in(table, None)?.iter().all(is_ours) {
            return Ok(());
        }
        let transaction = Transaction {
            edits: vec![table.delete()],
            generation: Some(generation),
        };
        self.commit(transaction).map(drop)
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
        let frame = self.frame(table)?;
        let existing = self.sets_in(table)?;
        let mut needed: BTreeSet<Set> = table.sets().chain(sets.iter().copied()).collect();
        let listed = self.rules_in(table, Some(table.chain_name()))?;
        let unwitnessed = self.without_witness(&existing)?;
        let is_damaged = frame.exists && {
            let all: BTreeSet<Set> = existing.union(&needed).copied().collect();
            let (fixed, of_sets) = table.rules_with(&all);
            !frame.is_complete()
                || !unwitnessed.is_empty()
                || !needed.is_subset(&existing)
                || !compare(&fixed, &of_sets, &listed).is_right()
        };
        let mut lost = Lost::new();
        if is_damaged || is_thorough {
            lost = self.content(table, &existing)?.lost(table, intent);
            let sets = lost.keys().map(|element| element.set);
            needed.extend(sets);
        }
        needed.extend(&existing);

        let mut edits = Vec::new();
        if !frame.exists {
            edits.push(table.create());
        }
        if frame.is_dormant {
            edits.push(table.wake());
        }
        match frame.chain {
            ChainState::Missing => edits.push(table.create_chain()),
            ChainState::Unhooked => edits.extend([table.delete_chain(), table.create_chain()]),
            ChainState::Hooked => {}
        }
        // The sets that a table has from the start come first, in their order.
        let of_networks = needed.iter().copied().filter(Set::is_of_a_network);
        for set in table.sets().chain(of_networks) {
            if !existing.contains(&set) {
                edits.push(set.create());
            }
            if !existing.contains(&set) || unwitnessed.contains(&set) {
                edits.push(set.add_witness());
            }
        }
        let left = match frame.chain {
            ChainState::Hooked => listed,
            ChainState::Missing | ChainState::Unhooked => Vec::new(),
        };
        edits.extend(rule_edits(table, &needed, &left));
        let add = |(element, (data, comment)): (&Element, &(Option<Vec<u8>>, String))| {
            element.add(data.as_deref(), comment)
        };
        edits.extend(lost.iter().map(add));
        Ok(edits)
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
    /// The elements that records speak of, and the records that elements speak of, as far as they
    /// are missing.
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

/// The edits that repair the rules of a chain.
fn rule_edits(table: Table, sets: &BTreeSet<Set>, listed: &[ListedRule]) -> Vec<Edit> {
    let (fixed, of_sets) = table.rules_with(sets);
    let comparison = compare(&fixed, &of_sets, listed);
    let is_of_a_set = |rule: &&Rule| of_sets.contains(rule);
    if comparison.is_in_order && comparison.missing.iter().all(is_of_a_set) {
        let append = |rule: &&Rule| table.append(rule);
        return comparison.missing.iter().map(append).collect();
    }
    // The order matters, and the kernel appends: all rules of this crate go, and are appended anew.
    let is_ours = |it: &&ListedRule| fixed.iter().chain(&of_sets).any(|rule| rule.is(it));
    let deletions = listed.iter().filter(is_ours).map(|rule| {
        let what = format!("remove a rule of chain {} of table {table}", rule.chain);
        Message::DeleteRule.edit(table, what, rule.attributes(table.name()))
    });
    let additions = fixed.iter().chain(&of_sets);
    let additions = additions.map(|rule| table.append(rule));
    deletions.chain(additions).collect()
}
