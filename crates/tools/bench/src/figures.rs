//! What was measured.

use std::collections::{BTreeMap, BTreeSet};

use super::stats::Summary;

/// Everything that was measured, by operation (`O`), contender (`C`) and size: how many of something there were at the time.
#[derive(Clone, Debug)]
pub(super) struct Figures<O, C> {
    times: BTreeMap<(O, C, u32), Summary>,
    peaks: BTreeMap<(O, C, u32), u64>,
    system_calls: BTreeMap<(O, C, u32), u32>,
}

impl<O, C> Default for Figures<O, C> {
    fn default() -> Self {
        Self {
            times: BTreeMap::new(),
            peaks: BTreeMap::new(),
            system_calls: BTreeMap::new(),
        }
    }
}

impl<O: Copy + Ord, C: Copy + Ord> Figures<O, C> {
    pub(super) fn add_time(&mut self, operation: O, contender: C, size: u32, summary: Summary) {
        self.times.insert((operation, contender, size), summary);
    }

    /// Notes a peak of memory, in KiB; the highest counts.
    pub(super) fn add_peak(&mut self, operation: O, contender: C, size: u32, kibibytes: u64) {
        let peak = self.peaks.entry((operation, contender, size)).or_default();
        *peak = kibibytes.max(*peak);
    }

    /// Notes a number of system calls; the lowest counts.
    pub(super) fn add_system_calls(&mut self, operation: O, contender: C, size: u32, count: u32) {
        let key = (operation, contender, size);
        let lowest = self.system_calls.entry(key).or_insert(count);
        *lowest = count.min(*lowest);
    }

    pub(super) fn time(&self, operation: O, contender: C, size: u32) -> Option<Summary> {
        self.times.get(&(operation, contender, size)).copied()
    }

    /// The highest peak of memory of these operations, in KiB.
    pub(super) fn peak(&self, operations: &[O], contender: C, size: u32) -> Option<u64> {
        let of = |operation: &O| self.peaks.get(&(*operation, contender, size));
        operations.iter().filter_map(of).max().copied()
    }

    /// The highest peak of memory of these operations at any size, in KiB.
    pub(super) fn highest_peak(&self, operations: &[O], contender: C) -> Option<u64> {
        let sizes = self.sizes().into_iter();
        sizes
            .filter_map(|size| self.peak(operations, contender, size))
            .max()
    }

    pub(super) fn system_calls(&self, operation: O, contender: C, size: u32) -> Option<u32> {
        let key = (operation, contender, size);
        self.system_calls.get(&key).copied()
    }

    /// The sizes, ascending.
    pub(super) fn sizes(&self) -> Vec<u32> {
        let sizes: BTreeSet<u32> = self.times.keys().map(|(_, _, size)| *size).collect();
        sizes.into_iter().collect()
    }

    /// Those whose times were measured, in the order of the columns.
    pub(super) fn contenders(&self) -> Vec<C> {
        let contenders: BTreeSet<C> = self.times.keys().map(|(_, whose, _)| *whose).collect();
        contenders.into_iter().collect()
    }

    /// How many times one contender's time is another's, in each case an operation at a size.
    pub(super) fn ratio(
        &self,
        operation: O,
        (one, at): (C, u32),
        (other, other_at): (C, u32),
    ) -> Option<f64> {
        let one = self.time(operation, one, at)?;
        let other = self.time(operation, other, other_at)?;
        Some(one.ratio_to(&other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_peak_and_the_fewest_calls_count() {
        let mut figures = Figures::default();
        for (size, kibibytes) in [(0, 3), (0, 2), (7, 5), (7, 9)] {
            figures.add_peak("ADD", 'a', size, kibibytes);
            figures.add_system_calls("ADD", 'a', size, kibibytes as u32);
        }
        assert_eq!(figures.peak(&["ADD", "DEL"], 'a', 0), Some(3));
        assert_eq!(figures.peak(&["DEL"], 'a', 0), None);
        let calls = [0, 7, 8].map(|size| figures.system_calls("ADD", 'a', size));
        assert_eq!(calls, [Some(2), Some(5), None]);
    }
}
