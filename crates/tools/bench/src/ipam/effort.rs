//! How much is measured.

use std::time::Duration;

use crate::Extent;

/// What a run measures, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Effort {
    /// The numbers of addresses in use, ascending.
    pub(super) sizes: &'static [u32],
    /// How many rounds there are at each.
    pub(super) rounds: usize,
    /// How long a contender's calls may take at each, together.
    pub(super) budget: Duration,
    /// How often the first call after a foreign change is measured at each, within a third of that time.
    pub(super) changes: usize,
    /// How often the peak memory of each call is looked at, within a third of that time; the highest counts.
    pub(super) peaks: usize,
}

impl Effort {
    pub(super) fn of(extent: Extent) -> Self {
        match extent {
            Extent::Full => Self {
                sizes: &[0, 1_000, 10_000, 25_000, 50_000],
                rounds: 300,
                budget: Duration::from_secs(12),
                changes: 10,
                peaks: 3,
            },
            Extent::Quick => Self {
                sizes: &[0, 1_000, 10_000],
                rounds: 100,
                budget: Duration::from_secs(3),
                changes: 5,
                peaks: 1,
            },
        }
    }
}
