//! Measured times, peaks of memory and numbers of system calls, and their medians.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An operation, who performed it, and how many of what the subject counts there were.
pub(crate) type Key = (&'static str, &'static str, u32);

/// All measurements.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    times: BTreeMap<Key, Vec<Duration>>,
    /// The highest peak of memory, in KiB.
    pub(crate) memory: BTreeMap<Key, u64>,
    /// The lowest number of system calls.
    pub(crate) system_calls: BTreeMap<Key, u64>,
}

/// The median of samples, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// How many samples there are.
    pub(crate) count: usize,
    /// The 10th percentile.
    pub(crate) low: Duration,
    pub(crate) median: Duration,
    /// The 90th percentile.
    pub(crate) high: Duration,
}

impl Summary {
    fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        Some(Self {
            count: samples.len(),
            low: quantile(&samples, 0.1)?,
            median: quantile(&samples, 0.5)?,
            high: quantile(&samples, 0.9)?,
        })
    }
}

/// The value below which a share of sorted values lies; it may lie between two of them.
fn quantile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(place.floor() as usize)?;
    let above = sorted.get(place.ceil() as usize)?;
    Some(*below + above.saturating_sub(*below).mul_f64(place.fract()))
}

impl Figures {
    pub(crate) fn add_time(&mut self, key: Key, time: Duration) {
        self.times.entry(key).or_default().push(time);
    }

    pub(crate) fn add_memory(&mut self, key: Key, kibibytes: u64) {
        let peak = self.memory.entry(key).or_default();
        *peak = kibibytes.max(*peak);
    }

    pub(crate) fn add_system_calls(&mut self, key: Key, count: u64) {
        let lowest = self.system_calls.entry(key).or_insert(count);
        *lowest = count.min(*lowest);
    }

    pub(crate) fn time(&self, key: Key) -> Option<Summary> {
        Summary::of(self.times.get(&key)?.clone())
    }

    /// A contender's highest peak of memory, in KiB.
    pub(crate) fn peak(&self, contender: &str) -> Option<u64> {
        let own = self
            .memory
            .iter()
            .filter(|((_, whose, _), _)| *whose == contender);
        own.map(|(_, peak)| *peak).max()
    }

    /// One median as a multiple of another.
    pub(crate) fn ratio(&self, one: Key, other: Key) -> Option<f64> {
        let [one, other] = [self.time(one)?, self.time(other)?];
        Some(one.median.as_secs_f64() / other.median.as_secs_f64())
    }

    /// The sizes, ascending.
    pub(crate) fn sizes(&self) -> BTreeSet<u32> {
        self.times.keys().map(|(_, _, size)| *size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(milliseconds: &[u64]) -> Option<Summary> {
        Summary::of(
            milliseconds
                .iter()
                .copied()
                .map(Duration::from_millis)
                .collect(),
        )
    }

    #[test]
    fn the_median_and_the_spread() {
        let descending: Vec<u64> = (0..=100).rev().collect();
        for (samples, expected) in [
            (&[7][..], (1, 7, 7, 7)),
            (&descending, (101, 10, 50, 90)),
            // Between two values.
            (&[200, 100], (2, 110, 150, 190)),
        ] {
            let of = |time| Duration::from_millis(time);
            let (count, low, median, high) = expected;
            let expected = Summary {
                count,
                low: of(low),
                median: of(median),
                high: of(high),
            };
            assert_eq!(summary(samples), Some(expected));
        }
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn the_highest_peak_and_the_fewest_calls_count() {
        let mut figures = Figures::default();
        for (size, number) in [(0, 3), (0, 2), (7, 5), (7, 9)] {
            figures.add_memory(("ADD", "a", size), number);
            figures.add_system_calls(("ADD", "a", size), number);
        }
        assert_eq!(figures.peak("a"), Some(9));
        assert_eq!(figures.peak("b"), None);
        let calls: Vec<u64> = figures.system_calls.into_values().collect();
        assert_eq!(calls, [2, 5]);
    }
}
