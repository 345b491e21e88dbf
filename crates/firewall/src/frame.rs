//! The frame of a table: the table itself, its chains, its rules, its sets, and the witness in each
//! set.

use std::collections::{BTreeMap, BTreeSet};

use crate::FirewallError;
use crate::element::{ListedElement, list};
use crate::kernel::Kernel;
use crate::rule::{ListedRule, compare};
use crate::schema::{Chain, ChainRules, FramePart};
use crate::table::{Set, Table};

/// The parts of a table's frame that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) exists: bool,
    /// The table's chains see no packets, whatever their hooks are.
    pub(crate) is_dormant: bool,
    /// The states of [`Table::chains`].
    pub(crate) chains: Vec<ChainState>,
}

/// The state of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ChainState {
    #[default]
    Missing,
    /// The chain exists, but sees no packets.
    Unhooked,
    Hooked,
}

impl ChainState {
    fn of(is_hooked: Option<bool>) -> Self {
        match is_hooked {
            None => Self::Missing,
            Some(false) => Self::Unhooked,
            Some(true) => Self::Hooked,
        }
    }
}

impl Frame {
    /// Whether the table and its chains are as they should be.
    pub(crate) fn is_complete(&self) -> bool {
        let is_hooked = |chain: &ChainState| *chain == ChainState::Hooked;
        self.exists && !self.is_dormant && self.chains.iter().all(is_hooked)
    }
}

/// Whether chains have the rules that they should have.
pub(crate) fn are_right(wanted: &[ChainRules], listed: &[ListedRule]) -> bool {
    let is_right = |wanted: &ChainRules| {
        let listed: Vec<_> = rules_of(wanted.chain, listed).collect();
        compare(wanted, &listed).is_right()
    };
    wanted.iter().all(is_right)
}

/// The rules of one chain among those of its table.
pub(crate) fn rules_of<'a>(
    chain: &'static Chain,
    listed: &'a [ListedRule],
) -> impl Iterator<Item = &'a ListedRule> {
    listed.iter().filter(move |rule| rule.chain == chain.name)
}

impl Kernel {
    /// The parts of a table's frame that exist, without rules and sets.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn frame(&mut self, table: Table) -> Result<Frame, FirewallError> {
        let chains = table.chains().iter();
        let mut parts = vec![FramePart::Table(table)];
        parts.extend(chains.map(|chain| FramePart::Chain(table, chain)));
        let mut answers = self.ask(&parts)?.into_iter();
        let is_awake = answers.next().flatten();
        Ok(Frame {
            exists: is_awake.is_some(),
            is_dormant: is_awake == Some(false),
            chains: answers.map(ChainState::of).collect(),
        })
    }

    /// Whether these tables and their chains are as they should be. A transaction could assert the
    /// same, but then closing the socket would take some milliseconds, as after each change of a
    /// chain.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn are_complete(
        &mut self,
        tables: impl IntoIterator<Item = Table>,
    ) -> Result<bool, FirewallError> {
        for table in tables {
            if !self.frame(table)?.is_complete() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether these tables have their rules, and these of their sets a witness. This takes one
    /// list per table, and one exchange.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn are_intact(
        &mut self,
        needed: &BTreeMap<Table, BTreeSet<Set>>,
    ) -> Result<bool, FirewallError> {
        for (table, sets) in needed {
            let listed = self.rules_in(*table)?;
            if !are_right(&table.rules_with(sets), &listed) {
                return Ok(false);
            }
        }
        let sets: BTreeSet<Set> = needed.values().flatten().copied().collect();
        Ok(self.without_witness(&sets)?.is_empty())
    }

    /// Those of some sets that have no witness: the sets do not exist, or have been flushed.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn without_witness(
        &mut self,
        sets: &BTreeSet<Set>,
    ) -> Result<BTreeSet<Set>, FirewallError> {
        let sets: Vec<Set> = sets.iter().copied().filter(Set::has_witness).collect();
        let witnesses: Vec<_> = sets.iter().copied().map(Set::witness).collect();
        let answers = self.ask(&witnesses)?;
        let unanswered = sets.into_iter().zip(answers).filter(|(_, it)| it.is_none());
        Ok(unanswered.map(|(set, _)| set).collect())
    }

    /// The rules of a table.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn rules_in(&mut self, table: Table) -> Result<Vec<ListedRule>, FirewallError> {
        let request = ListedRule::list(table.family(), table.name(), None);
        self.dump(&request, ListedRule::read)
    }

    /// Those of a table's sets that are of this crate.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn sets_in(&mut self, table: Table) -> Result<BTreeSet<Set>, FirewallError> {
        let sets = self.dump(&table.list_sets(), |reply| table.read_set(reply))?;
        Ok(sets.into_iter().collect())
    }

    /// All elements of a set but its witness.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn elements_in(&mut self, set: Set) -> Result<Vec<ListedElement>, FirewallError> {
        let witness = set.witness();
        let listed = self.dump(&list(set), |reply| ListedElement::read_all(reply).map(Some))?;
        let elements = listed.into_iter().flatten();
        Ok(elements.filter(|it| it.key != witness.key).collect())
    }
}
