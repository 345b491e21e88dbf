//! What is told of many measurements of the same thing.

use std::time::Duration;

/// The times of calls of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<Duration>);

/// The middle of samples, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// How many there are.
    pub(super) count: usize,
    /// A tenth of them is below.
    pub(super) low: Duration,
    /// Half of them is below.
    pub(super) median: Duration,
    /// A tenth of them is above.
    pub(super) high: Duration,
}

impl Samples {
    pub(super) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// `None` if there are none.
    pub(super) fn summary(&self) -> Option<Summary> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        Some(Summary {
            count: sorted.len(),
            low: quantile(&sorted, 0.1)?,
            median: quantile(&sorted, 0.5)?,
            high: quantile(&sorted, 0.9)?,
        })
    }
}

impl Summary {
    /// Of a single measurement.
    #[cfg(test)]
    pub(super) fn of_one(time: Duration) -> Self {
        Self {
            count: 1,
            low: time,
            median: time,
            high: time,
        }
    }

    /// How many times the other's median this one's is.
    pub(super) fn ratio_to(&self, other: &Self) -> f64 {
        self.median.as_secs_f64() / other.median.as_secs_f64()
    }
}

/// The value below which a share of sorted values lies; between two values where it falls between them.
fn quantile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = sorted.get(place.floor() as usize)?;
    let above = sorted.get(place.ceil() as usize)?;
    Some(*below + above.saturating_sub(*below).mul_f64(place.fract()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(milliseconds: &[u64]) -> Option<Summary> {
        let mut samples = Samples::default();
        for time in milliseconds {
            samples.push(Duration::from_millis(*time));
        }
        samples.summary()
    }

    #[test]
    fn the_middle_and_the_spread() {
        let milliseconds = Duration::from_millis;
        let of = |count, low, median, high| Summary {
            count,
            low,
            median,
            high,
        };
        let seven = milliseconds(7);
        assert_eq!(summary(&[7]), Some(of(1, seven, seven, seven)));
        let descending: Vec<u64> = (0..=100).rev().collect();
        let expected = of(101, milliseconds(10), milliseconds(50), milliseconds(90));
        assert_eq!(summary(&descending), Some(expected));
        // Between two values.
        let expected = of(2, milliseconds(110), milliseconds(150), milliseconds(190));
        assert_eq!(summary(&[200, 100]), Some(expected));
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn one_outlier_says_little() {
        let calm = summary(&[10, 10, 10, 10, 10]).unwrap();
        let disturbed = summary(&[10, 10, 5000, 10, 10]).unwrap();
        assert_eq!(disturbed.median, calm.median);
        assert!((summary(&[15]).unwrap().ratio_to(&calm) - 1.5).abs() < 1e-9);
    }
}
