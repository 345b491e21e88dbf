//! What the chain is to reach.

use super::Figures;
use super::contender::Contender::{self, Floor, OneProcess, Reference};
use super::effort::AT_A_TIME;
use super::quantity::{Aspect, Command, Quantity};
use crate::target::Target;

/// The most memory that the chain is to take, in KiB.
const MOST_MEMORY: u64 = 5 * 1024;

/// The most that all plugins are to take on a disk, in KiB.
const MOST_SIZE: u64 = 4 * 1024;

/// A quantity of ours, who it is compared with, how many times as large it may be, and what that is called.
type Limit = (Command, Aspect, u32, Contender, f64, &'static str);

/// Three times the containers in the same time are a third of the time for each.
const THIRD: f64 = 1.0 / 3.0;

const LIMITS: [Limit; 8] = [
    (Command::Add, Aspect::Latency, 1, Reference, 0.25, "ADD"),
    (Command::Add, Aspect::Latency, 1, Floor, 2.0, "ADD"),
    (
        Command::Add,
        Aspect::Processor,
        1,
        Reference,
        0.25,
        "processor time of ADD",
    ),
    (
        Command::Add,
        Aspect::Share,
        AT_A_TIME,
        Reference,
        THIRD,
        "ADD at 8 at a time, time for each container",
    ),
    (Command::Del, Aspect::Latency, 1, Reference, 0.12, "DEL"),
    (Command::Del, Aspect::Latency, 1, Floor, 1.8, "DEL"),
    (
        Command::Del,
        Aspect::Share,
        AT_A_TIME,
        Reference,
        0.2,
        "DEL at 8 at a time, time for each container",
    ),
    (
        Command::Del,
        Aspect::Processor,
        1,
        Reference,
        0.4,
        "processor time of DEL",
    ),
];

/// All of them. `size` is that of all plugins on a disk, in KiB.
pub(super) fn of(figures: &Figures, size: u64) -> Vec<Target> {
    let ratios = LIMITS.map(|(command, aspect, at_a_time, other, limit, what)| {
        let quantity = Quantity::new(command, aspect);
        let measured = figures.ratio(quantity, (OneProcess, at_a_time), (other, at_a_time));
        Target::ratio(format!("{what}, to {}", other.short()), limit, measured)
    });
    let peak = figures.highest_peak(&Quantity::ROUND, OneProcess);
    let amounts = [
        Target::amount("peak memory".to_owned(), MOST_MEMORY, peak),
        Target::amount("all plugins on a disk".to_owned(), MOST_SIZE, Some(size)),
    ];
    ratios.into_iter().chain(amounts).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::Summary;
    use crate::target;

    #[test]
    fn each_is_compared_with_its_measure() {
        let mut figures = Figures::default();
        let mut add = |command, aspect, contender, at_a_time, time| {
            let summary = Summary::of_one(Duration::from_micros(time));
            figures.add_time(
                Quantity::new(command, aspect),
                contender,
                at_a_time,
                summary,
            );
        };
        for (contender, time) in [(Floor, 1_000), (OneProcess, 1_500), (Reference, 10_000)] {
            add(Command::Add, Aspect::Latency, contender, 1, time);
            add(Command::Add, Aspect::Share, contender, AT_A_TIME, time / 2);
        }
        for (contender, time) in [(OneProcess, 5_000), (Reference, 10_000)] {
            add(Command::Del, Aspect::Processor, contender, 1, time);
            add(Command::Del, Aspect::Latency, contender, AT_A_TIME, time);
        }
        let [first, _] = Quantity::ROUND;
        figures.add_peak(first, OneProcess, 1, 3 * 1024);
        figures.add_peak(first, Reference, 1, 30 * 1024);
        assert_eq!(
            target::table(of(&figures, 5 * 1024)).markdown(),
            "\
| target                                             | at most | measured |      verdict |
| -------------------------------------------------- | ------: | -------: | -----------: |
| ADD, to Go                                         |   0.25x |    0.15x |          met |
| ADD, to floor                                      |   2.00x |    1.50x |          met |
| processor time of ADD, to Go                       |   0.25x |        – | not measured |
| ADD at 8 at a time, time for each container, to Go |   0.33x |    0.15x |          met |
| DEL, to Go                                         |   0.12x |        – | not measured |
| DEL, to floor                                      |   1.80x |        – | not measured |
| DEL at 8 at a time, time for each container, to Go |   0.20x |        – | not measured |
| processor time of DEL, to Go                       |   0.40x |    0.50x |       MISSED |
| peak memory                                        | 5.0 MiB |  3.0 MiB |          met |
| all plugins on a disk                              | 4.0 MiB |  5.0 MiB |       MISSED |
"
        );
    }
}
