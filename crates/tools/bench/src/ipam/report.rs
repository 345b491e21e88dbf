//! The tables.

use super::contender::{Contender, Operation};
use super::{Figures, targets};
use crate::report::{Proportion, Report};
use crate::table::Table;
use crate::units;

/// Everything, as Markdown.
pub(super) fn text(figures: &Figures, machine: &str, notes: &[String]) -> String {
    let mut report = Report::new(
        figures,
        "in use",
        "host-local by addresses in use",
        machine,
        "Addresses in use were given one after another; their files are in the kernel's caches.\n",
        notes,
    );
    report.times("ADD", Operation::Add);
    report.times("DEL", Operation::Del);
    report.times(
        "DEL of an attachment that holds nothing",
        Operation::DelOfNothing,
    );
    let proportions = proportions(figures);
    report.proportions("ADD, in proportion", Operation::Add, &proportions, short);
    report.proportions("DEL, in proportion", Operation::Del, &proportions, short);
    let table = after_change(figures, &report);
    report.section("First ADD after another program changed the folder", &table);
    if figures
        .highest_peak(&[Operation::Add], Contender::Disk)
        .is_some()
    {
        let table = memory(figures, &report);
        report.section("Peak memory of ADD and DEL", &table);
    }
    report.rounds("Rounds of ADD and DEL", Operation::Add);
    report.ending_with(targets::of(figures))
}

/// What ours is compared with.
fn proportions(figures: &Figures) -> Vec<Proportion<Contender>> {
    let ours = [Contender::Disk, Contender::Db];
    let took_part = figures.contenders();
    let ours = ours.into_iter().filter(|own| took_part.contains(own));
    ours.flat_map(|own| {
        [
            Proportion::To(own, Contender::Reference),
            Proportion::To(own, Contender::Empty),
            Proportion::To(own, Contender::Bare),
            Proportion::ToNone(own),
        ]
    })
    .collect()
}

fn short(contender: Contender) -> &'static str {
    match contender {
        Contender::Empty => "empty",
        Contender::Bare => "musl",
        Contender::Disk => "disk",
        Contender::Db => "db",
        Contender::Reference => "Go",
    }
}

fn after_change(figures: &Figures, report: &Report<'_, Operation, Contender>) -> Table {
    let columns = [
        ("Twill, disk", Operation::AddAfterChange, Contender::Disk),
        ("any later ADD", Operation::Add, Contender::Disk),
        (
            "Go host-local, any ADD",
            Operation::Add,
            Contender::Reference,
        ),
    ];
    let columns =
        columns.map(|(heading, operation, contender)| (heading.to_owned(), (operation, contender)));
    report.by_size(&columns, |(operation, contender), size| {
        let summary = figures.time(*operation, *contender, size)?;
        Some(units::spread(&summary))
    })
}

fn memory(figures: &Figures, report: &Report<'_, Operation, Contender>) -> Table {
    let mut columns: Vec<(String, (Contender, Vec<Operation>))> = Vec::new();
    for (heading, contender) in report.contenders() {
        let after_change = format!("{heading}, after a change");
        let usual = vec![Operation::Add, Operation::Del];
        columns.push((heading, (contender, usual)));
        if contender == Contender::Disk {
            let operations = vec![Operation::AddAfterChange];
            columns.push((after_change, (contender, operations)));
        }
    }
    report.by_size(&columns, |(contender, operations), size| {
        let peak = figures.peak(operations, *contender, size)?;
        Some(units::memory(peak))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::Summary;

    #[test]
    fn only_what_was_measured_has_columns() {
        let mut figures = Figures::default();
        for (contender, time) in [
            (Contender::Empty, 400),
            (Contender::Disk, 600),
            (Contender::Reference, 2_000),
        ] {
            let time = Duration::from_micros(time);
            let summary = Summary {
                count: 7,
                low: time / 2,
                median: time,
                high: time * 2,
            };
            figures.add_time(Operation::Add, contender, 1_000, summary);
        }
        let text = text(&figures, "a machine", &["A note.".to_owned()]);
        let add = "
## ADD

| in use |    empty program |       Twill, disk |       Go host-local |
| ------ | ---------------: | ----------------: | ------------------: |
| 1,000  | 400 µs (200–800) | 600 µs (300–1200) | 2.00 ms (1.00–4.00) |
";
        assert!(text.contains(add), "{text}");
        let proportion = "
| in use | disk / Go | disk / empty | disk / musl | disk / disk at 0 |
| ------ | --------: | -----------: | ----------: | ---------------: |
| 1,000  |     0.30x |        1.50x |           – |                – |
";
        assert!(text.contains(proportion), "{text}");
        assert!(
            text.contains("\nA note.\n") && !text.contains("Peak"),
            "{text}"
        );
    }
}
