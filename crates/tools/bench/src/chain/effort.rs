//! How much is measured.

use std::time::Duration;

use super::quantity::Quantity;
use crate::Extent;
use crate::contest::Contest;

/// How many calls are made at a time, beside one after another.
pub(super) const AT_A_TIME: u32 = 8;

/// What a run measures, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Effort {
    /// One call after another.
    pub(super) single: Contest<Quantity>,
    /// Many at a time, over all containers in each round.
    pub(super) together: Contest<Quantity>,
    /// How many containers each contender has.
    pub(super) containers: usize,
    /// How often the memory of each call is looked at; the highest counts.
    pub(super) looks: usize,
}

impl Effort {
    pub(super) fn of(extent: Extent) -> Self {
        let contest = |rounds, seconds| Contest {
            round: &[(&Quantity::ROUND, 1.0)],
            rounds,
            budget: Duration::from_secs(seconds),
        };
        match extent {
            Extent::Full => Self {
                single: contest(300, 20),
                together: contest(20, 20),
                containers: 32,
                looks: 3,
            },
            Extent::Quick => Self {
                single: contest(40, 3),
                together: contest(4, 3),
                containers: 16,
                looks: 1,
            },
        }
    }
}
