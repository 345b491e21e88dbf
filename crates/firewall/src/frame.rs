//! The frame of a table: the table itself, its chain, its rules, and a witness in each of its sets.

use std::collections::{BTreeMap, BTreeSet};

use netlink::Reply;

use crate::repair::rules_of;
use crate::rule::{FoundRule, compare};
use crate::table::{Set, Table};
use crate::{FirewallError, Nftables};

/// What there is of a table's frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) exists: bool,
    /// Its chain sees no packets, whatever its hook is.
    pub(crate) is_dormant: bool,
    pub(crate) chain: Chain,
}

/// What there is of a table's chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Chain {
    #[default]
    Missing,
    /// The chain is there, but sees no packets.
    Unhooked,
    Hooked,
}

impl Frame {
    pub(crate) fn is_complete(&self) -> bool {
        self.exists && !self.is_dormant && self.chain == Chain::Hooked
    }

    /// Notes an answer to the first question, [`Table::find`], or to the second one, [`Table::find_chain`].
    fn note(
        &mut self,
        table: Table,
        question: usize,
        reply: &Reply<'_>,
    ) -> Result<(), netlink_packet_core::DecodeError> {
        if question == 0 {
            self.exists = true;
            self.is_dormant = table.is_dormant(reply)?;
        } else {
            self.chain = if table.is_hooked(reply)? {
                Chain::Hooked
            } else {
                Chain::Unhooked
            };
        }
        Ok(())
    }
}

impl Nftables {
    pub(crate) fn frame(&mut self, table: Table) -> Result<Frame, FirewallError> {
        let mut frame = Frame::default();
        self.ask_each(
            &[table.find(), table.find_chain()],
            |position, reply: &Reply<'_>| frame.note(table, position, reply),
        )?;
        Ok(frame)
    }

    /// Whether nobody has taken anything out of the frames of these tables, as far as these of their sets are concerned and
    /// those that everybody needs: one exchange, and one list per table.
    pub(crate) fn are_intact(
        &mut self,
        needed: &BTreeMap<Table, BTreeSet<Set>>,
    ) -> Result<bool, FirewallError> {
        let mut questions = Vec::new();
        let mut topics = Vec::new();
        for (table, sets) in needed {
            questions.extend([table.find(), table.find_chain()]);
            topics.extend([(*table, 0), (*table, 1)]);
            for set in table.sets().chain(sets.iter().copied()) {
                questions.push(set.witness().find());
                topics.push((*table, 2));
            }
        }
        let mut frames: BTreeMap<_, _> = needed.keys().map(|it| (*it, Frame::default())).collect();
        let mut witnesses = 0;
        self.ask_each(&questions, |position, reply| match topics.get(position) {
            Some((table, question @ (0 | 1))) => frames
                .entry(*table)
                .or_default()
                .note(*table, *question, reply),
            _ => {
                witnesses += 1;
                Ok(())
            }
        })?;
        let all = topics.iter().filter(|(_, question)| *question == 2).count();
        if witnesses < all || !frames.values().all(Frame::is_complete) {
            return Ok(false);
        }
        for (table, sets) in needed {
            if !self.has_rules(*table, sets)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Those of some sets that have no witness: somebody has flushed them, or they were never there.
    pub(crate) fn without_witness(
        &mut self,
        sets: &BTreeSet<Set>,
    ) -> Result<BTreeSet<Set>, FirewallError> {
        let questions: Vec<_> = sets.iter().map(|set| set.witness().find()).collect();
        let answers = self.ask(&questions)?;
        let unanswered = sets
            .iter()
            .zip(answers)
            .filter(|(_, found)| found.is_none());
        Ok(unanswered.map(|(set, _)| *set).collect())
    }

    /// Whether a table has the rules that everybody needs and those of some sets.
    pub(crate) fn has_rules(
        &mut self,
        table: Table,
        sets: &BTreeSet<Set>,
    ) -> Result<bool, FirewallError> {
        let found = self.rules_in(table, Some(table.chain_name()))?;
        let (fixed, of_sets) = rules_of(table, sets);
        Ok(compare(&fixed, &of_sets, &found).is_right())
    }

    pub(crate) fn rules_in(
        &mut self,
        table: Table,
        chain: Option<&str>,
    ) -> Result<Vec<FoundRule>, FirewallError> {
        let request = FoundRule::list(table.family(), table.name(), chain);
        self.dump(&request, FoundRule::read)
    }
}
