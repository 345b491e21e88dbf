//! The report: tables of all figures, and whether the targets are met.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::figures::{Figures, Key};
use crate::units;

/// What was measured of a subject, and how it is presented.
pub(crate) struct Report {
    pub(crate) title: &'static str,
    /// What sizes count.
    pub(crate) size: &'static str,
    pub(crate) remarks: &'static str,
    /// In the order of the columns.
    pub(crate) contenders: &'static [&'static str],
    /// In the order of the tables.
    pub(crate) operations: &'static [&'static str],
    /// The operations that the plot shows.
    pub(crate) plotted: &'static [&'static str],
    /// The contenders whose times are compared.
    pub(crate) compared: &'static [(&'static str, &'static str)],
    pub(crate) figures: Figures,
    pub(crate) targets: Vec<Target>,
}

/// A goal: what must not be larger than a limit.
#[derive(Debug)]
pub(crate) struct Target {
    what: String,
    limit: String,
    /// What was measured, if it was, and whether that is enough.
    reached: Option<(String, bool)>,
}

impl Target {
    /// A time as a multiple of another one.
    pub(crate) fn time(figures: &Figures, one: Key, other: Key, limit: f64) -> Self {
        let name = |(operation, contender, size): Key| format!("{contender} {operation} at {size}");
        Self {
            what: format!("{} / {}", name(one), name(other)),
            limit: units::ratio(limit),
            reached: figures
                .ratio(one, other)
                .map(|it| (units::ratio(it), it <= limit)),
        }
    }

    /// A time.
    pub(crate) fn duration(figures: &Figures, one: Key, limit: Duration) -> Self {
        let (operation, contender, size) = one;
        Self {
            what: format!("{contender} {operation} at {size}"),
            limit: units::time(limit),
            reached: figures
                .time(one)
                .map(|it| (units::time(it.median), it.median <= limit)),
        }
    }

    /// An amount of memory or of a disk, in KiB.
    pub(crate) fn amount(what: &str, measured: Option<u64>, limit: u64) -> Self {
        Self {
            what: what.to_owned(),
            limit: units::memory(limit),
            reached: measured.map(|it| (units::memory(it), it <= limit)),
        }
    }
}

impl Report {
    /// Everything, as Markdown.
    pub(crate) fn text(&self, notes: &[String]) -> String {
        let mut text = format!(
            "# {}\n\n{}\nTimes are wall times of a call, from just before the start of its \
             process until it was waited for:\nthe median and, in parentheses, the 10th and the \
             90th percentile. The contenders take turns.\n{}",
            self.title,
            notes.join("\n"),
            self.remarks
        );
        let figures = &self.figures;
        let own = self
            .contenders
            .iter()
            .map(|name| ((*name).to_owned(), *name));
        let own: Vec<_> = own.collect();
        let pairs = self.compared.iter();
        let pairs: Vec<_> = pairs
            .map(|pair| (format!("{} / {}", pair.0, pair.1), *pair))
            .collect();
        for operation in self.operations {
            let times = self.by_size(&own, |contender, size| {
                let summary = figures.time((operation, contender, size))?;
                let [median, low, high] =
                    [summary.median, summary.low, summary.high].map(units::time);
                Some(format!("{median} ({low}–{high})"))
            });
            let ratios = self.by_size(&pairs, |(one, other), size| {
                let [one, other] = [one, other].map(|contender| (*operation, contender, size));
                figures.ratio(one, other).map(units::ratio)
            });
            text += &format!("\n## {operation}\n\n{times}\n");
            if ratios.row_count() > 0 {
                text += &format!("\n{ratios}\n");
            }
        }
        for (title, numbers, show) in [
            (
                "Peak memory",
                &figures.memory,
                units::memory as fn(u64) -> String,
            ),
            ("System calls", &figures.system_calls, |count| {
                count.to_string()
            }),
        ] {
            if !numbers.is_empty() {
                text += &format!("\n## {title}\n\n{}\n", self.by_operation(numbers, show));
            }
        }
        text + &format!("\n## Targets\n\n{}\n", targets(&self.targets))
    }

    /// A row per size, and a column per heading, each with what its cells depend on. A size
    /// without any cell is left out.
    fn by_size<T: Copy>(
        &self,
        columns: &[(String, T)],
        cell: impl Fn(T, u32) -> Option<String>,
    ) -> Table {
        let mut rows = Vec::new();
        for size in self.figures.sizes() {
            let cells = columns.iter().map(|(_, column)| cell(*column, size));
            let cells: Vec<_> = cells.collect();
            if cells.iter().any(Option::is_some) {
                let cells = cells.into_iter().map(Option::unwrap_or_default);
                rows.push((size.to_string(), cells.collect()));
            }
        }
        let headings: Vec<&str> = columns
            .iter()
            .map(|(heading, _)| heading.as_str())
            .collect();
        table(self.size, &headings, rows)
    }

    /// A row per operation and size, and a column per contender.
    fn by_operation(&self, numbers: &BTreeMap<Key, u64>, show: fn(u64) -> String) -> Table {
        let mut rows = Vec::new();
        for operation in self.operations {
            for size in self.figures.sizes() {
                let number =
                    |contender: &&'static str| numbers.get(&(*operation, *contender, size));
                let cells = self.contenders.iter().map(number);
                let cells: Vec<_> = cells
                    .map(|it| it.map_or_else(String::new, |it| show(*it)))
                    .collect();
                if cells.iter().any(|cell| !cell.is_empty()) {
                    rows.push((format!("{operation}, {size}"), cells));
                }
            }
        }
        table(&format!("operation, {}", self.size), self.contenders, rows)
    }
}

fn targets(targets: &[Target]) -> Table {
    let rows = targets.iter().map(|target| {
        let (measured, verdict) = match &target.reached {
            Some((measured, true)) => (measured.as_str(), "met"),
            Some((measured, false)) => (measured.as_str(), "MISSED"),
            None => ("", "not measured"),
        };
        let cells = [&*target.limit, measured, verdict].map(str::to_owned);
        (target.what.clone(), cells.into())
    });
    table(
        "target",
        &["at most", "measured", "verdict"],
        rows.collect(),
    )
}

/// The first column is aligned to the left, the others to the right.
fn table(first: &str, headings: &[&str], rows: Vec<(String, Vec<String>)>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([first].into_iter().chain(headings.iter().copied()));
    for (name, cells) in rows {
        table.add_row([name].into_iter().chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_measured_is_in_the_report() {
        let mut figures = Figures::default();
        for (contender, time) in [("disk", 600), ("Go", 2_000)] {
            figures.add_time(("ADD", contender, 1_000), Duration::from_micros(time));
        }
        figures.add_memory(("ADD", "disk", 1_000), 5 * 1024);
        let key = |contender| ("ADD", contender, 1_000);
        let targets = vec![
            Target::time(&figures, key("disk"), key("Go"), 0.45),
            Target::time(&figures, key("db"), key("Go"), 0.45),
            Target::amount("memory", figures.peak("disk"), 4 * 1024),
        ];
        let report = Report {
            title: "host-local",
            size: "in use",
            remarks: "",
            contenders: &["disk", "db", "Go"],
            operations: &["ADD"],
            plotted: &["ADD"],
            compared: &[("disk", "Go")],
            figures,
            targets,
        };
        let text = report.text(&["A note.".to_owned()]);
        let words: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for line in [
            "A note.",
            "| in use | disk | db | Go |",
            "| 1000 | 600µs (600µs–600µs) | | 2.00ms (2.00ms–2.00ms) |",
            "| 1000 | 0.30x |",
            "| ADD, 1000 | 5.0 MiB | | |",
            "| disk ADD at 1000 / Go ADD at 1000 | 0.45x | 0.30x | met |",
            "| db ADD at 1000 / Go ADD at 1000 | 0.45x | | not measured |",
            "| memory | 4.0 MiB | 5.0 MiB | MISSED |",
        ] {
            assert!(words.iter().any(|own| own == line), "{line}\n{text}");
        }
        let svg = crate::chart::svg(&report).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.contains("host-local"),
            "{svg}"
        );
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
