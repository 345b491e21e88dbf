//! The tables.

use super::contender::{Contender, Operation};
use super::figures::Figures;
use super::targets;
use crate::bench::table::{NOTHING, Table};
use crate::bench::units;

/// Everything, as Markdown.
pub(super) fn text(figures: &Figures, machine: &str, notes: &[String]) -> String {
    let mut text = format!(
        "# host-local by addresses in use\n\n\
         Measured on {machine}.\n\
         Wall time of a call, from just before the start of its process until that was waited for: the median\n\
         and, in parentheses, the 10th and the 90th percentile. The contenders take turns, round by round.\n\
         Addresses in use were given one after another; their files are in the kernel's caches.\n"
    );
    for note in notes {
        text += &format!("{note}\n");
    }
    let mut section = |title: &str, table: Table| {
        text += &format!("\n## {title}\n\n{}", table.markdown());
    };
    section("ADD", times(figures, Operation::Add));
    section("DEL", times(figures, Operation::Del));
    section(
        "DEL of an attachment that holds nothing",
        times(figures, Operation::DelOfNothing),
    );
    section("ADD, in proportion", ratios(figures, Operation::Add));
    section("DEL, in proportion", ratios(figures, Operation::Del));
    section(
        "First ADD after another program changed the folder",
        after_change(figures),
    );
    if figures
        .highest_peak(&[Operation::Add], Contender::Disk)
        .is_some()
    {
        section("Peak memory of ADD and DEL", memory(figures));
    }
    section("Rounds of ADD and DEL", rounds(figures));
    section("Targets", targets(figures));
    text
}

fn times(figures: &Figures, operation: Operation) -> Table {
    by_size(figures, &figures.contenders(), |contender, size| {
        let summary = figures.time(operation, *contender, size)?;
        Some(units::spread(&summary))
    })
}

fn rounds(figures: &Figures) -> Table {
    by_size(figures, &figures.contenders(), |contender, size| {
        let summary = figures.time(Operation::Add, *contender, size)?;
        Some(summary.count.to_string())
    })
}

fn ratios(figures: &Figures, operation: Operation) -> Table {
    let ours = [Contender::Disk, Contender::Db];
    let took_part = figures.contenders();
    let ours = ours.into_iter().filter(|own| took_part.contains(own));
    let columns: Vec<Proportion> = ours
        .flat_map(|own| {
            [
                Proportion::To(own, Contender::Reference),
                Proportion::To(own, Contender::Empty),
                Proportion::ToNoneInUse(own),
            ]
        })
        .collect();
    by_size(figures, &columns, |column, size| {
        let ratio = match *column {
            Proportion::To(own, other) => figures.ratio(operation, (own, size), (other, size)),
            Proportion::ToNoneInUse(own) => figures.ratio(operation, (own, size), (own, 0)),
        };
        ratio.map(units::ratio)
    })
}

/// What one of ours is compared with.
enum Proportion {
    To(Contender, Contender),
    ToNoneInUse(Contender),
}

impl std::fmt::Display for Proportion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |contender: &Contender| match contender {
            Contender::Empty => "empty",
            Contender::Disk => "disk",
            Contender::Db => "db",
            Contender::Reference => "Go",
        };
        match self {
            Self::To(own, other) => write!(f, "{} / {}", short(own), short(other)),
            Self::ToNoneInUse(own) => write!(f, "{own} / {own} at 0", own = short(own)),
        }
    }
}

fn after_change(figures: &Figures) -> Table {
    let columns = [
        (Operation::AddAfterChange, Contender::Disk, "Twill, disk"),
        (Operation::Add, Contender::Disk, "any later ADD"),
        (
            Operation::Add,
            Contender::Reference,
            "Go host-local, any ADD",
        ),
    ];
    let mut table =
        Table::new(std::iter::once("in use").chain(columns.iter().map(|(_, _, heading)| *heading)));
    for size in figures.sizes() {
        let cells = columns.iter().map(|(operation, contender, _)| {
            let summary = figures.time(*operation, *contender, size);
            or_nothing(summary.map(|summary| units::spread(&summary)))
        });
        table.row(std::iter::once(units::count(size)).chain(cells));
    }
    table
}

fn memory(figures: &Figures) -> Table {
    let mut columns: Vec<(String, Contender, Vec<Operation>)> = Vec::new();
    for contender in figures.contenders() {
        let usual = vec![Operation::Add, Operation::Del];
        columns.push((contender.to_string(), contender, usual));
        if contender == Contender::Disk {
            let heading = format!("{contender}, after a change");
            columns.push((heading, contender, vec![Operation::AddAfterChange]));
        }
    }
    let headings = columns.iter().map(|(heading, _, _)| heading.clone());
    let mut table = Table::new(std::iter::once("in use".to_owned()).chain(headings));
    for size in figures.sizes() {
        let cells = columns.iter().map(|(_, contender, operations)| {
            or_nothing(
                figures
                    .peak(operations, *contender, size)
                    .map(units::memory),
            )
        });
        table.row(std::iter::once(units::count(size)).chain(cells));
    }
    table
}

fn targets(figures: &Figures) -> Table {
    let mut table = Table::new(["target", "at most", "measured", "verdict"]);
    for target in targets::of(figures) {
        let (measured, verdict) = match target.reached {
            Some((measured, true)) => (measured, "met"),
            Some((measured, false)) => (measured, "MISSED"),
            None => (NOTHING.to_owned(), "not measured"),
        };
        table.row([target.what, target.limit, measured, verdict.to_owned()]);
    }
    table
}

/// A row a size, and a column for each of `columns`.
fn by_size<C: ToString>(
    figures: &Figures,
    columns: &[C],
    cell: impl Fn(&C, u32) -> Option<String>,
) -> Table {
    let headings = columns.iter().map(ToString::to_string);
    let mut table = Table::new(std::iter::once("in use".to_owned()).chain(headings));
    for size in figures.sizes() {
        let cells = columns.iter().map(|column| or_nothing(cell(column, size)));
        table.row(std::iter::once(units::count(size)).chain(cells));
    }
    table
}

fn or_nothing(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| NOTHING.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::stats::Summary;

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
| in use | disk / Go | disk / empty | disk / disk at 0 |
| ------ | --------: | -----------: | ---------------: |
| 1,000  |     0.30x |        1.50x |                – |
";
        assert!(text.contains(proportion), "{text}");
        assert!(
            text.contains("\nA note.\n") && !text.contains("Peak"),
            "{text}"
        );
    }
}
