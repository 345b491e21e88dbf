//! What a command writes to.

use std::io::{self, Write};

/// The standard output of a command.
pub(crate) struct Output<'a> {
    stdout: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    pub(crate) fn new(stdout: &'a mut dyn Write) -> Self {
        Self { stdout }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stdout, "{line}")
    }

    /// Writes a table: columns as wide as their widest field, without frames.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn table<const N: usize>(
        &mut self,
        header: &[&str; N],
        rows: &[[String; N]],
    ) -> io::Result<()> {
        let mut widths = header.map(str::len);
        for row in rows {
            for (width, field) in widths.iter_mut().zip(row) {
                *width = (*width).max(field.chars().count());
            }
        }
        let header = header.map(str::to_owned);
        for row in std::iter::once(&header).chain(rows) {
            let fields = row.iter().zip(widths);
            let line: String = fields
                .map(|(field, width)| format!("{field:width$}  "))
                .collect();
            self.line(line.trim_end())?;
        }
        Ok(())
    }
}
