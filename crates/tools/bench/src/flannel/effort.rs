//! How much is measured.

use std::time::Duration;

use super::contender::Operation;
use crate::Extent;
use crate::contest::Contest;

/// The numbers of other containers whose configurations are kept, ascending. All take turns: what differs between them is
/// less than what differs between two minutes of a machine.
pub(super) const SIZES: [u32; 2] = [0, 10_000];

/// What a run measures, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Effort {
    pub(super) contest: Contest<Operation>,
    /// How often the memory and the system calls of each call are looked at; the highest and the lowest count.
    pub(super) looks: usize,
}

impl Effort {
    pub(super) fn of(extent: Extent) -> Self {
        let (rounds, seconds, looks) = match extent {
            Extent::Full => (1_500, 30, 5),
            Extent::Quick => (200, 5, 2),
        };
        let contest = Contest {
            round: &[
                (&[Operation::Add, Operation::Check, Operation::Del], 0.75),
                (&[Operation::Status], 0.25),
            ],
            rounds,
            budget: Duration::from_secs(seconds),
        };
        Self { contest, looks }
    }
}
