//! Tables in Markdown whose source is aligned, so that it reads well in a terminal too.

/// A table: a heading for each column, then rows.
#[derive(Clone, Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "–";

impl Table {
    pub(super) fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(headings);
        table
    }

    /// Adds a row, of as many cells as there are headings.
    pub(super) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The text. The first column is aligned to the left, the others to the right.
    pub(super) fn markdown(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
                .max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate();
            text += &line(cells.map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            }));
            if number == 0 {
                let rules = widths.iter().enumerate();
                text += &line(rules.map(|(column, width)| match column {
                    0 => "-".repeat(*width),
                    _ => format!("{}:", "-".repeat(width - 1)),
                }));
            }
        }
        text
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["in use", "ADD", "x"]);
        table.row(["0", "612 µs", "1"]);
        table.row(["50,000", NOTHING, "22"]);
        assert_eq!(
            table.markdown(),
            "\
| in use |    ADD |   x |
| ------ | -----: | --: |
| 0      | 612 µs |   1 |
| 50,000 |      – |  22 |
"
        );
    }
}
