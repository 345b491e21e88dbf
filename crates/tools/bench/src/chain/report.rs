//! The tables.

use super::contender::Contender;
use super::quantity::{Aspect, Command, Quantity};
use super::{Figures, targets};
use crate::report::{Proportion, Report};
use crate::table::{NOTHING, Table};
use crate::units;

/// What is to be known before any table is read.
const REMARKS: &str = "\
A call is for one container, whose network namespace was made beforehand, on a node of the contender's own whose bridge is\n\
there: flannel starts bridge, which starts host-local. Go delegates are Debian's bridge and host-local behind our flannel.\n\
The floor is one static program that has the kernel make the same links, address and routes, and nothing else. Its DEL, like ours,\n\
ends with the event that the link is gone. What the kernel does after that counts as processor time, for whoever waits for it.\n\
Processor time is that of all processes of a call, in user and in system mode; their peaks of memory are added up.\n";

/// What was measured, as Markdown. `size` is that of all plugins on a disk, in KiB.
pub(super) fn text(figures: &Figures, size: u64, machine: &str, notes: &[String]) -> String {
    let title = "flannel, bridge and host-local, one after another and many at a time";
    let mut report = Report::new(figures, "at a time", title, machine, REMARKS, notes);
    for aspect in [Aspect::Latency, Aspect::Processor] {
        let of = match aspect {
            Aspect::Processor => "Processor time of ",
            _ => "",
        };
        for command in Command::ALL {
            let quantity = Quantity::new(command, aspect);
            let title = format!("{of}{}", command.name());
            report.times(&title, quantity);
            let title = format!("{title}, in proportion");
            report.proportions(&title, quantity, &proportions(figures), Contender::short);
        }
    }
    let contenders = report.contenders();
    for command in Command::ALL {
        let quantity = Quantity::new(command, Aspect::Share);
        let table = report.by_size(&contenders, |contender, size| {
            let share = figures.time(quantity, *contender, size)?.median;
            Some(units::count((1.0 / share.as_secs_f64()).round() as u32))
        });
        report.section(
            &format!("Containers per second, {}", command.name()),
            &table,
        );
    }
    report.section("Peak memory of a call", &memory(figures));
    let [add, _] = Quantity::ROUND;
    report.rounds("Calls of ADD", add);
    report.ending_with(targets::of(figures, size))
}

/// A row a command. The processes of a call wait for one another, so their peaks are added up.
fn memory(figures: &Figures) -> Table {
    let contenders = figures.contenders();
    let headings = contenders.iter().map(Contender::to_string);
    let mut table = Table::new(std::iter::once("command".to_owned()).chain(headings));
    for quantity in Quantity::ROUND {
        let cells = contenders.iter().map(|contender| {
            let peak = figures.peak(&[quantity], *contender, 1);
            peak.map_or_else(|| NOTHING.to_owned(), units::memory)
        });
        table.row(std::iter::once(quantity.command.name().to_owned()).chain(cells));
    }
    table
}

/// What ours is compared with, as far as that took part.
fn proportions(figures: &Figures) -> Vec<Proportion<Contender>> {
    use Contender::{Floor, OneProcess, Processes, Reference};
    let took_part = figures.contenders();
    let pairs = [
        (OneProcess, Reference),
        (OneProcess, Floor),
        (OneProcess, Processes),
        (Processes, Reference),
        (Reference, Floor),
    ];
    let pairs = pairs.into_iter();
    pairs
        .filter(|(one, other)| took_part.contains(one) && took_part.contains(other))
        .map(|(one, other)| Proportion::To(one, other))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::Summary;

    #[test]
    fn only_what_took_part_is_compared() {
        let mut figures = Figures::default();
        for (contender, time) in [(Contender::Floor, 2_000), (Contender::Reference, 10_000)] {
            for (at_a_time, share) in [(1, time), (8, time / 2)] {
                for (aspect, time) in [(Aspect::Latency, time), (Aspect::Share, share)] {
                    let quantity = Quantity::new(Command::Add, aspect);
                    let summary = Summary::of_one(Duration::from_micros(time));
                    figures.add_time(quantity, contender, at_a_time, summary);
                }
            }
        }
        let text = text(&figures, 1_000, "a machine", &["A note.".to_owned()]);
        let proportion = "
## ADD, in proportion

| at a time | Go / floor |
| --------- | ---------: |
| 1         |      5.00x |
| 8         |      5.00x |
";
        assert!(text.contains(proportion), "{text}");
        let containers = "
## Containers per second, ADD

| at a time | floor | Go delegates |
| --------- | ----: | -----------: |
| 1         |   500 |          100 |
| 8         | 1,000 |          200 |
";
        assert!(text.contains(containers), "{text}");
        assert!(text.contains("\nA note.\n"), "{text}");
    }
}
