//! What the plugin is to reach.

use super::contender::{Contender, Operation};
use super::figures::Figures;
use crate::bench::units;

/// A goal, and what was measured for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) what: String,
    pub(super) limit: String,
    /// What was measured, and whether that is enough; `None` if it was not measured.
    pub(super) reached: Option<(String, bool)>,
}

/// The number of addresses in use that counts as many.
const MANY: u32 = 50_000;

/// In KiB.
const MOST_MEMORY: u64 = 4 * 1024;

/// All of them.
pub(super) fn of(figures: &Figures) -> Vec<Target> {
    let ratio = |one: (Contender, u32), other: (Contender, u32), limit: f64, what: String| {
        let measured = figures.ratio(Operation::Add, one, other);
        Target {
            what,
            limit: units::ratio(limit),
            reached: measured.map(|ratio| (units::ratio(ratio), ratio <= limit)),
        }
    };
    let none = |contender| (contender, 0);
    let beside = |other: Contender, limit| {
        let what = format!("{}: ADD, none in use, to {other}", Contender::Disk);
        ratio(none(Contender::Disk), none(other), limit, what)
    };
    let growth = |contender: Contender, limit| {
        let many = units::count(MANY);
        let what = format!("{contender}: ADD, {many} in use, to none in use");
        ratio((contender, MANY), none(contender), limit, what)
    };
    let memory = |contender: Contender, operations: &[Operation], when: &str| Target {
        what: format!("{contender}: peak memory of {when}"),
        limit: units::memory(MOST_MEMORY),
        reached: figures
            .highest_peak(operations, contender)
            .map(|peak| (units::memory(peak), peak <= MOST_MEMORY)),
    };
    let usual = [Operation::Add, Operation::Del];
    let after_change = [Operation::AddAfterChange];
    vec![
        beside(Contender::Reference, 0.45),
        beside(Contender::Empty, 1.6),
        growth(Contender::Disk, 1.3),
        growth(Contender::Db, 1.5),
        memory(Contender::Disk, &usual, "ADD and DEL"),
        memory(Contender::Disk, &after_change, "ADD after a change"),
        memory(Contender::Db, &usual, "ADD and DEL"),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::stats::Summary;

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let mut figures = Figures::default();
        for (contender, size, time) in [
            (Contender::Empty, 0, 400),
            (Contender::Disk, 0, 600),
            (Contender::Disk, MANY, 900),
            (Contender::Reference, 0, 2_000),
        ] {
            let time = Duration::from_micros(time);
            let summary = Summary {
                count: 1,
                low: time,
                median: time,
                high: time,
            };
            figures.add_time(Operation::Add, contender, size, summary);
        }
        figures.add_peak(Operation::Del, Contender::Disk, 0, 5 * 1024);
        figures.add_peak(Operation::Del, Contender::Disk, 0, 1024);
        let reached = of(&figures).into_iter().map(|target| target.reached);
        let told = |text: &str, met| Some((text.to_owned(), met));
        assert_eq!(
            reached.collect::<Vec<_>>(),
            [
                told("0.30x", true),
                told("1.50x", true),
                told("1.50x", false),
                None,
                told("5.0 MiB", false),
                None,
                None
            ]
        );
    }
}
