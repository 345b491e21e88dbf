//! The frame of a table: the table itself, its chain, its rules, its sets, and the witness in each
//! set.

use std::collections::{BTreeMap, BTreeSet};

use crate::FirewallError;
use crate::element::{ListedElement, list};
use crate::kernel::Kernel;
use crate::rule::{ListedRule, compare};
use crate::table::{Set, Table};

/// The parts of a table's frame that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) exists: bool,
    /// The table's chains see no packets, whatever their hooks are.
    pub(crate) is_dormant: bool,
    pub(crate) chain: ChainState,
}

/// The state of a table's chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ChainState {
    #[default]
    Missing,
    /// The chain exists, but sees no packets.
    Unhooked,
    Hooked,
}

impl Frame {
    /// Whether the table and its chain are as they should be.
    pub(crate) fn is_complete(&self) -> bool {
        self.exists && !self.is_dormant && self.chain == ChainState::Hooked
    }
}

impl Kernel {
    /// The parts of a table's frame that exist, but for rules and sets.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn frame(&mut self, table: Table) -> Result<Frame, FirewallError> {
        let mut frame = Frame::default();
        self.ask_each(&[table.find(), table.find_chain()], |position, reply| {
            if position == 0 {
                frame.exists = true;
                frame.is_dormant = Table::is_dormant(reply)?;
            } else if table.is_hooked(reply)? {
                frame.chain = ChainState::Hooked;
            } else {
                frame.chain = ChainState::Unhooked;
            }
            Ok(())
        })?;
        Ok(frame)
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
            let listed = self.rules_in(*table, Some(table.chain_name()))?;
            let (fixed, of_sets) = table.rules_with(sets);
            if !compare(&fixed, &of_sets, &listed).is_right() {
                return Ok(false);
            }
        }
        let sets: BTreeSet<Set> = needed.values().flatten().copied().collect();
        Ok(self.without_witness(&sets)?.is_empty())
    }

    /// Those of some sets that have no witness: the sets do not exist, or somebody has flushed
    /// them.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn without_witness(
        &mut self,
        sets: &BTreeSet<Set>,
    ) -> Result<BTreeSet<Set>, FirewallError> {
        let questions: Vec<_> = sets.iter().map(|set| set.witness().find()).collect();
        let answers = self.ask(&questions)?;
        let unanswered = sets.iter().zip(answers).filter(|(_, it)| it.is_none());
        Ok(unanswered.map(|(set, _)| *set).collect())
    }

    /// The rules of a table, or of one of its chains.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn rules_in(
        &mut self,
        table: Table,
        chain: Option<&str>,
    ) -> Result<Vec<ListedRule>, FirewallError> {
        let request = ListedRule::list(table.family(), table.name(), chain);
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
