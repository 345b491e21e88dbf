//! What the plugin is to reach.

use super::Figures;
use super::contender::{Contender, Operation};
use super::effort::SIZES;
use crate::target::Target;
use crate::units;

/// How many times as long as the empty program a call may take that starts another one.
const MOST_TIME: f64 = 2.5;

/// All of them.
pub(super) fn of(figures: &Figures) -> Vec<Target> {
    let beside_empty = |operation: Operation, size| {
        let (command, kept) = (operation.command(), units::count(size));
        let what = format!("{command}, {kept} kept, to empty program");
        let (own, empty) = ((Contender::Flannel, size), (Contender::Empty, size));
        Target::ratio(what, MOST_TIME, figures.ratio(operation, own, empty))
    };
    let timed = [Operation::Add, Operation::Del];
    let times = timed.into_iter().flat_map(|operation| {
        let target = move |size| beside_empty(operation, size);
        SIZES.into_iter().map(target)
    });
    let peak = figures.highest_peak(&Operation::ALL, Contender::Flannel);
    let memory = Target::memory("peak memory of any call".to_owned(), peak);
    times.chain([memory]).collect()
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
        let times = [
            (Operation::Add, 0, 1_000),
            (Operation::Add, 10_000, 1_040),
            (Operation::Del, 0, 960),
        ];
        for (operation, size, time) in times {
            let mut add = |contender, time| {
                let summary = Summary::of_one(Duration::from_micros(time));
                figures.add_time(operation, contender, size, summary);
            };
            add(Contender::Empty, 400);
            add(Contender::Flannel, time);
        }
        figures.add_peak(Operation::Check, Contender::Flannel, 0, 3 * 1024);
        figures.add_peak(Operation::Add, Contender::Idle, 0, 9 * 1024);
        assert_eq!(
            target::table(of(&figures)).markdown(),
            "\
| target                             | at most | measured |      verdict |
| ---------------------------------- | ------: | -------: | -----------: |
| ADD, 0 kept, to empty program      |   2.50x |    2.50x |          met |
| ADD, 10,000 kept, to empty program |   2.50x |    2.60x |       MISSED |
| DEL, 0 kept, to empty program      |   2.50x |    2.40x |          met |
| DEL, 10,000 kept, to empty program |   2.50x |        – | not measured |
| peak memory of any call            | 4.0 MiB |  3.0 MiB |          met |
"
        );
    }
}
