//! Bringing a table back to what it should be, whatever others have taken out of it.
//!
//! Records and elements say the same twice: a record whose elements are gone gets them back, and elements without a record
//! get theirs. What nothing says any more is lost until its attachment is added again.

use std::collections::{BTreeMap, BTreeSet};

use netlink::Reply;

use crate::element::{Element, Found};
use crate::frame::Chain;
use crate::holding::Holding;
use crate::owner::{RecordKey, fit, words_of};
use crate::rule::{FoundRule, Rule, compare};
use crate::step::{Message, Step};
use crate::survey::{Plan, Record, is_absent, place};
use crate::table::{Set, SetKind, Table};
use crate::{FirewallError, Nftables};

/// What a transaction will do beside repairing: the repair leaves it alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// Whose attachment it is about; what a repair finds of it is stale.
    pub(crate) owner: Option<RecordKey>,
    /// Elements that are added.
    pub(crate) wanted: BTreeSet<Element>,
    /// Elements that are removed.
    pub(crate) doomed: BTreeSet<Element>,
}

impl Nftables {
    /// Puts everything into our tables that others have taken out and that can be known from what is left: chains, rules and
    /// sets, and of elements and records the ones that the others speak of. Tables that do not exist are not made.
    ///
    /// Returns what was done, in words; nothing if all was as it should be.
    ///
    /// # Errors
    /// If the kernel refuses; then some tables may have been repaired.
    pub fn repair(&mut self) -> Result<Vec<String>, FirewallError> {
        let mut done = Vec::new();
        for table in Table::ALL {
            done.extend(self.repair_table(table)?);
        }
        Ok(done)
    }

    pub(crate) fn repair_table(&mut self, table: Table) -> Result<Vec<String>, FirewallError> {
        let mut done = Vec::new();
        self.until_done(|this| {
            let generation = this.generation()?;
            if !this.frame(table)?.exists {
                return Ok(None);
            }
            let mut intent = Intent::default();
            let mut steps = this.repair_steps(table, &BTreeSet::new(), &mut intent, true)?;
            steps.extend(intent.doomed.iter().map(Element::delete));
            done = steps.iter().map(|step| step.request.what.clone()).collect();
            this.commit(Plan { steps, generation })
        })?;
        Ok(done)
    }

    /// Removes a table in which nothing is left; one with anything of others in it stays.
    pub(crate) fn remove_if_unused(&mut self, table: Table) -> Result<(), FirewallError> {
        // Whoever adds something meanwhile makes the generation another one, and then the table is in use.
        let Some(generation) = self.generation()? else {
            return Ok(());
        };
        let mut content = None;
        self.ask_each(&[table.find()], |_, reply| {
            content = Some(table.content(reply)?);
            Ok(())
        })?;
        let sets = self.sets_of(table)?;
        let chain_and_sets = 1 + sets.len() as u32;
        if content != Some(chain_and_sets) {
            return Ok(());
        }
        for set in &sets {
            if !self.elements_in(*set)?.is_empty() {
                return Ok(());
            }
        }
        let (fixed, of_sets) = rules_of(table, &sets);
        let is_ours = |found: &FoundRule| fixed.iter().chain(&of_sets).any(|rule| rule.is(found));
        if !self.rules_in(table, None)?.iter().all(is_ours) {
            return Ok(());
        }
        let plan = Plan {
            steps: vec![table.delete()],
            generation: Some(generation),
        };
        self.commit(plan).map(drop)
    }

    /// The steps that put a table right. `sets` are needed beside those that are there. Records and elements are only looked
    /// at if something else is missing from a table that exists, or if they must be (`is_thorough`): there may be many.
    ///
    /// Elements that must be removed for it are added to the intent's.
    pub(crate) fn repair_steps(
        &mut self,
        table: Table,
        sets: &BTreeSet<Set>,
        intent: &mut Intent,
        is_thorough: bool,
    ) -> Result<Vec<Step>, FirewallError> {
        let frame = self.frame(table)?;
        let existing = self.sets_of(table)?;
        let mut needed: BTreeSet<Set> = table.sets().chain(sets.iter().copied()).collect();
        let found = self.rules_in(table, Some(table.chain_name()))?;
        let unwitnessed = self.without_witness(&existing)?;
        let is_damaged = frame.exists && {
            let all: BTreeSet<Set> = existing.union(&needed).copied().collect();
            let (fixed, of_sets) = rules_of(table, &all);
            !frame.is_complete()
                || !unwitnessed.is_empty()
                || !needed.is_subset(&existing)
                || !compare(&fixed, &of_sets, &found).is_right()
        };
        let mut elements = Vec::new();
        if is_damaged || is_thorough {
            elements = self.lost_elements(table, &existing, &mut needed, intent)?;
        }
        needed.extend(&existing);

        let mut steps = Vec::new();
        if !frame.exists {
            steps.push(table.create());
        }
        if frame.is_dormant {
            steps.push(table.wake());
        }
        match frame.chain {
            Chain::Missing => steps.push(table.create_chain()),
            Chain::Unhooked => steps.extend([table.delete_chain(), table.create_chain()]),
            Chain::Hooked => {}
        }
        // Those of every table come first, as a new table has them.
        let all = table
            .sets()
            .chain(needed.iter().copied().filter(|set| set.is_of_a_network()));
        for set in all {
            if !existing.contains(&set) {
                steps.push(set.create());
            }
            if !existing.contains(&set) || unwitnessed.contains(&set) {
                steps.push(set.add_witness());
            }
        }
        let found = match frame.chain {
            Chain::Hooked => found,
            Chain::Missing | Chain::Unhooked => Vec::new(),
        };
        steps.extend(rule_steps(table, &needed, &found));
        steps.extend(elements);
        Ok(steps)
    }

    /// The steps that add the elements that records speak of, and the records that elements speak of. Sets that they need
    /// are added to `needed`.
    fn lost_elements(
        &mut self,
        table: Table,
        existing: &BTreeSet<Set>,
        needed: &mut BTreeSet<Set>,
        intent: &mut Intent,
    ) -> Result<Vec<Step>, FirewallError> {
        let mut records = BTreeMap::new();
        let mut elements = BTreeMap::new();
        for set in existing {
            for found in self.elements_in(*set)? {
                if set.kind == SetKind::Owners {
                    let key = RecordKey::of_bytes(&found.key);
                    records.extend(key.map(|key| (key, found)));
                } else {
                    let (set, key) = (*set, found.key.clone());
                    elements.insert(Element { set, key }, found);
                }
            }
        }
        let mut lost = BTreeMap::new();
        for (key, found) in &records {
            let record = Record::new(table, *key, found);
            let (Some(holding), false) = (record.holding, intent.concerns(&record.element(), *key))
            else {
                continue;
            };
            let parts = holding.elements();
            if parts.iter().any(|part| intent.wanted.contains(part)) {
                // It is the new holder's.
                intent.doomed.insert(record.element());
                let others = parts.into_iter().filter(|part| {
                    let comment = elements.get(part).map(|found| found.comment.as_str());
                    comment.and_then(RecordKey::of_comment) == Some(*key)
                });
                intent.doomed.extend(others);
                continue;
            }
            for part in parts {
                if !elements.contains_key(&part) {
                    needed.insert(part.set);
                    let comment = fit(format!("{key} {}", found.comment));
                    lost.entry(part).or_insert((None, comment));
                }
            }
        }
        for (element, found) in &elements {
            let key = RecordKey::of_comment(&found.comment);
            let Some(key) = key.filter(|key| !records.contains_key(key)) else {
                continue;
            };
            if intent.owner == Some(key.with_number(0)) {
                intent.doomed.insert(element.clone());
            } else if !intent.concerns(element, key)
                && let Some(holding) = Holding::of_element(element)
            {
                let data = Some(holding.data());
                let words = words_of(&found.comment).to_owned();
                lost.entry(place(table, key)).or_insert((data, words));
            }
        }
        let add = |(element, (data, words)): (&Element, &(Option<Vec<u8>>, String))| {
            element.add(data.as_deref(), words)
        };
        Ok(lost.iter().map(add).collect())
    }

    fn sets_of(&mut self, table: Table) -> Result<BTreeSet<Set>, FirewallError> {
        let sets = self.dump(&table.list_sets(), |reply| Set::read(table, reply))?;
        Ok(sets.into_iter().collect())
    }

    /// All elements of a set but its witness.
    pub(crate) fn elements_in(&mut self, set: Set) -> Result<Vec<Found>, FirewallError> {
        let witness = set.witness();
        let found = self.dump(&set.list(), |reply| Found::read_all(reply).map(Some))?;
        let elements = found.into_iter().flatten();
        Ok(elements.filter(|found| found.key != witness.key).collect())
    }

    /// A list; nothing if what it is about does not exist.
    pub(crate) fn dump<T>(
        &mut self,
        request: &netlink::Request<netlink::Bytes>,
        read: impl FnMut(&Reply<'_>) -> Result<Option<T>, netlink_packet_core::DecodeError>,
    ) -> Result<Vec<T>, FirewallError> {
        let Some(socket) = &mut self.socket else {
            return Ok(Vec::new());
        };
        match socket.dump(request, read) {
            Ok(entries) => Ok(entries),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(FirewallError::asking(error)),
        }
    }
}

impl Intent {
    /// Whether an element, or what a record's key stands for, is changed anyway.
    fn concerns(&self, element: &Element, key: RecordKey) -> bool {
        self.doomed.contains(element)
            || self.wanted.contains(element)
            || self.owner == Some(key.with_number(0))
    }
}

/// The rules of a table: those that everybody needs, and those of its sets.
pub(crate) fn rules_of(table: Table, sets: &BTreeSet<Set>) -> (Vec<Rule>, Vec<Rule>) {
    (
        table.rules(),
        sets.iter().filter_map(|set| set.rule()).collect(),
    )
}

/// The steps that put the rules of a chain right.
fn rule_steps(table: Table, sets: &BTreeSet<Set>, found: &[FoundRule]) -> Vec<Step> {
    let (fixed, of_sets) = rules_of(table, sets);
    let comparison = compare(&fixed, &of_sets, found);
    let is_of_a_set = |rule: &&Rule| of_sets.contains(rule);
    if comparison.is_in_order && comparison.missing.iter().all(is_of_a_set) {
        let append = |rule: &&Rule| rule.append(table);
        return comparison.missing.iter().map(append).collect();
    }
    // The order counts, and the kernel appends.
    let is_ours = |found: &&FoundRule| fixed.iter().chain(&of_sets).any(|rule| rule.is(found));
    let deletions = found.iter().filter(is_ours).map(|rule| {
        let what = format!("remove a rule of chain {} of table {table}", rule.chain);
        Message::DeleteRule.step(table, what, rule.attributes(table.name()))
    });
    let additions = fixed.iter().chain(&of_sets).map(|rule| rule.append(table));
    deletions.chain(additions).collect()
}
