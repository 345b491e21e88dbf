//! The text of a report: tables under headings.

use std::fmt::Display;

use super::figures::Figures;
use super::table::{NOTHING, Table};
use super::target::{self, Target};
use super::units;

/// A report on figures that is being written.
#[derive(Debug)]
pub(super) struct Report<'a, O, C> {
    figures: &'a Figures<O, C>,
    /// What sizes are called at the head of their column.
    size: &'static str,
    text: String,
}

/// What one contender's time is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proportion<C> {
    /// Another one's.
    To(C, C),
    /// Its own at size 0.
    ToNone(C),
}

impl<'a, O: Copy + Ord, C: Copy + Ord + Display> Report<'a, O, C> {
    /// A report with a title and what is to be known before any table is read: remarks on what was measured, then
    /// notes of what happened.
    pub(super) fn new(
        figures: &'a Figures<O, C>,
        size: &'static str,
        title: &str,
        machine: &str,
        remarks: &str,
        notes: &[String],
    ) -> Self {
        let mut text = format!(
            "# {title}\n\n\
             Measured on {machine}.\n\
             Wall time of a call, from just before the start of its process until that was waited for: the median\n\
             and, in parentheses, the 10th and the 90th percentile. The contenders take turns, round by round.\n\
             {remarks}"
        );
        for note in notes {
            text += &format!("{note}\n");
        }
        Self {
            figures,
            size,
            text,
        }
    }

    /// Adds a table.
    pub(super) fn section(&mut self, title: &str, table: &Table) {
        self.text += &format!("\n## {title}\n\n{}", table.markdown());
    }

    /// Adds the times of an operation.
    pub(super) fn times(&mut self, title: &str, operation: O) {
        let table = self.by_size(&self.contenders(), |contender, size| {
            let summary = self.figures.time(operation, *contender, size)?;
            Some(units::spread(&summary))
        });
        self.section(title, &table);
    }

    /// Adds how the times of an operation compare. A contender has a short name in the headings.
    pub(super) fn proportions(
        &mut self,
        title: &str,
        operation: O,
        proportions: &[Proportion<C>],
        short: impl Fn(C) -> &'static str,
    ) {
        let heading = |proportion: &Proportion<C>| match *proportion {
            Proportion::To(one, other) => format!("{} / {}", short(one), short(other)),
            Proportion::ToNone(one) => format!("{own} / {own} at 0", own = short(one)),
        };
        let columns = proportions.iter().map(|column| (heading(column), *column));
        let columns: Vec<_> = columns.collect();
        let table = self.by_size(&columns, |proportion, size| {
            let ratio = match *proportion {
                Proportion::To(one, other) => {
                    self.figures.ratio(operation, (one, size), (other, size))
                }
                Proportion::ToNone(one) => self.figures.ratio(operation, (one, size), (one, 0)),
            };
            ratio.map(units::ratio)
        });
        self.section(title, &table);
    }

    /// Adds how often an operation was measured.
    pub(super) fn rounds(&mut self, title: &str, operation: O) {
        let table = self.by_size(&self.contenders(), |contender, size| {
            let summary = self.figures.time(operation, *contender, size)?;
            Some(summary.count.to_string())
        });
        self.section(title, &table);
    }

    /// Adds the targets, and ends the report with them.
    pub(super) fn ending_with(mut self, targets: Vec<Target>) -> String {
        self.section("Targets", &target::table(targets));
        self.text
    }

    /// A column for each contender.
    pub(super) fn contenders(&self) -> Vec<(String, C)> {
        let contenders = self.figures.contenders().into_iter();
        contenders
            .map(|contender| (contender.to_string(), contender))
            .collect()
    }

    /// A row a size, and a column for each of `columns`, which are headings with what their cells depend on.
    pub(super) fn by_size<T>(
        &self,
        columns: &[(String, T)],
        cell: impl Fn(&T, u32) -> Option<String>,
    ) -> Table {
        let headings = columns.iter().map(|(heading, _)| heading.clone());
        let mut table = Table::new(std::iter::once(self.size.to_owned()).chain(headings));
        for size in self.figures.sizes() {
            let cells = columns
                .iter()
                .map(|(_, column)| cell(column, size).unwrap_or_else(|| NOTHING.to_owned()));
            table.row(std::iter::once(units::count(size)).chain(cells));
        }
        table
    }
}
