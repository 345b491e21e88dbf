//! What the plugin is to reach.

use super::Figures;
use super::contender::{Contender, Operation};
use crate::target::Target;
use crate::units;

/// The number of addresses in use that counts as many.
const MANY: u32 = 50_000;

/// All of them.
pub(super) fn of(figures: &Figures) -> Vec<Target> {
    let ratio = |one: (Contender, u32), other: (Contender, u32), limit: f64, what: String| {
        let measured = figures.ratio(Operation::Add, one, other);
        Target::ratio(what, limit, measured)
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
    let memory = |contender: Contender, operations: &[Operation], when: &str| {
        let what = format!("{contender}: peak memory of {when}");
        Target::memory(what, figures.highest_peak(operations, contender))
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
    use crate::stats::Summary;
    use crate::target;

    #[test]
    fn each_is_compared_with_its_measure() {
        let mut figures = Figures::default();
        for (contender, size, time) in [
            (Contender::Empty, 0, 400),
            (Contender::Disk, 0, 600),
            (Contender::Disk, MANY, 900),
            (Contender::Reference, 0, 2_000),
        ] {
            let summary = Summary::of_one(Duration::from_micros(time));
            figures.add_time(Operation::Add, contender, size, summary);
        }
        figures.add_peak(Operation::Del, Contender::Disk, 0, 5 * 1024);
        figures.add_peak(Operation::Del, Contender::Disk, 0, 1024);
        assert_eq!(
            target::table(of(&figures)).markdown(),
            "\
| target                                          | at most | measured |      verdict |
| ----------------------------------------------- | ------: | -------: | -----------: |
| Twill, disk: ADD, none in use, to Go host-local |   0.45x |    0.30x |          met |
| Twill, disk: ADD, none in use, to empty program |   1.60x |    1.50x |          met |
| Twill, disk: ADD, 50,000 in use, to none in use |   1.30x |    1.50x |       MISSED |
| Twill, db: ADD, 50,000 in use, to none in use   |   1.50x |        – | not measured |
| Twill, disk: peak memory of ADD and DEL         | 4.0 MiB |  5.0 MiB |       MISSED |
| Twill, disk: peak memory of ADD after a change  | 4.0 MiB |        – | not measured |
| Twill, db: peak memory of ADD and DEL           | 4.0 MiB |        – | not measured |
"
        );
    }
}
