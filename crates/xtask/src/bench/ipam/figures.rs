//! What was measured.

use std::collections::{BTreeMap, BTreeSet};

use super::contender::{Contender, Operation};
use crate::bench::stats::Summary;

/// Everything that was measured, by operation, contender and number of addresses in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    times: BTreeMap<(Operation, Contender, u32), Summary>,
    peaks: BTreeMap<(Operation, Contender, u32), u64>,
}

impl Figures {
    pub(super) fn add_time(
        &mut self,
        operation: Operation,
        contender: Contender,
        size: u32,
        summary: Summary,
    ) {
        self.times.insert((operation, contender, size), summary);
    }

    /// Notes a peak of memory, in KiB; the highest counts.
    pub(super) fn add_peak(
        &mut self,
        operation: Operation,
        contender: Contender,
        size: u32,
        kibibytes: u64,
    ) {
        let peak = self.peaks.entry((operation, contender, size)).or_default();
        *peak = kibibytes.max(*peak);
    }

    pub(super) fn time(
        &self,
        operation: Operation,
        contender: Contender,
        size: u32,
    ) -> Option<Summary> {
        self.times.get(&(operation, contender, size)).copied()
    }

    /// The highest peak of memory of these operations, in KiB.
    pub(super) fn peak(
        &self,
        operations: &[Operation],
        contender: Contender,
        size: u32,
    ) -> Option<u64> {
        let of = |operation: &Operation| self.peaks.get(&(*operation, contender, size));
        operations.iter().filter_map(of).max().copied()
    }

    /// The highest peak of memory of these operations at any size, in KiB.
    pub(super) fn highest_peak(
        &self,
        operations: &[Operation],
        contender: Contender,
    ) -> Option<u64> {
        let sizes = self.sizes().into_iter();
        sizes
            .filter_map(|size| self.peak(operations, contender, size))
            .max()
    }

    /// The numbers of addresses in use, ascending.
    pub(super) fn sizes(&self) -> Vec<u32> {
        let sizes: BTreeSet<u32> = self.times.keys().map(|(_, _, size)| *size).collect();
        sizes.into_iter().collect()
    }

    /// Those that were measured, in the order of the columns.
    pub(super) fn contenders(&self) -> Vec<Contender> {
        let took_part = |contender: &Contender| {
            let mut keys = self.times.keys();
            keys.any(|(_, whose, _)| whose == contender)
        };
        Contender::ALL.into_iter().filter(took_part).collect()
    }

    /// How many times one contender's time is another's, in each case an operation at a size.
    pub(super) fn ratio(
        &self,
        operation: Operation,
        (one, at): (Contender, u32),
        (other, other_at): (Contender, u32),
    ) -> Option<f64> {
        let one = self.time(operation, one, at)?;
        let other = self.time(operation, other, other_at)?;
        Some(one.ratio_to(&other))
    }
}
