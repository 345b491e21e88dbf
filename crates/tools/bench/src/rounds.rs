//! Who is measured when. A machine has its good and its bad seconds: contenders that take turns share them.

use std::time::Duration;

/// The order of a round among `count` contenders.
///
/// Over `count` rounds (twice as many if that is odd) each has every place equally often, and follows every other equally often,
/// for who comes after one that fills the processor's caches is the slower for it (a Williams design).
pub(super) fn order(round: usize, count: usize) -> Vec<usize> {
    let zigzag = (0..count).map(|place| match place % 2 {
        0 => place / 2,
        _ => count - 1 - place / 2,
    });
    let mut order: Vec<usize> = zigzag.map(|offset| (offset + round) % count).collect();
    if count % 2 == 1 && round / count % 2 == 1 {
        order.reverse();
    }
    order
}

/// Lets one whose calls are slow take part in fewer rounds, spread over all of them.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rounds: usize,
    budget: Duration,
    spent: Duration,
}

impl Pace {
    /// For this many rounds, in which calls may take `budget` together, and one round more at most.
    pub(super) fn new(rounds: usize, budget: Duration) -> Self {
        Self {
            rounds,
            budget,
            spent: Duration::ZERO,
        }
    }

    /// Whether to take part in a round.
    pub(super) fn is_due(&self, round: usize) -> bool {
        let share = round as f64 / self.rounds as f64;
        self.spent <= self.budget.mul_f64(share.min(1.0))
    }

    /// Notes a call.
    pub(super) fn spend(&mut self, time: Duration) {
        self.spent += time;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn everybody_follows_everybody_equally_often() {
        for count in 1..8 {
            let rounds = if count % 2 == 0 { count } else { 2 * count };
            let mut places = BTreeMap::new();
            let mut pairs = BTreeMap::new();
            for round in 0..rounds {
                let order = order(round, count);
                for place in order.iter().enumerate() {
                    *places.entry((place.0, *place.1)).or_insert(0) += 1;
                }
                for pair in order.windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(places.len(), count * count);
            assert_eq!(pairs.len(), count * (count - 1));
            let each = rounds / count;
            let all_alike = places.values().chain(pairs.values());
            assert!(all_alike.into_iter().all(|times| *times == each), "{count}");
        }
    }

    #[test]
    fn the_slow_take_part_less_often() {
        let taken = |one: Duration| {
            let mut pace = Pace::new(100, Duration::from_secs(1));
            let taken = (0..100).filter(|round| {
                let due = pace.is_due(*round);
                if due {
                    pace.spend(one);
                }
                due
            });
            taken.collect::<Vec<_>>()
        };
        assert_eq!(taken(Duration::from_millis(1)).len(), 100);
        assert_eq!(taken(Duration::from_millis(250)), [0, 25, 50, 75]);
        assert_eq!(taken(Duration::from_secs(9)), [0]);
    }
}
