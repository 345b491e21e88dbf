//! The output of a command.

use std::io::{self, Write};

use serde::Serialize;

use crate::progress::Progress;
use crate::table::{Style, Table};
use crate::terminal::Terminal;

/// The standard output of a command.
pub(crate) struct Output<'a> {
    stdout: &'a mut dyn Write,
    terminal: Terminal,
    /// Until the first line is written.
    progress: Option<Progress>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(
        stdout: &'a mut dyn Write,
        terminal: Terminal,
        progress: Option<Progress>,
    ) -> Self {
        Self {
            stdout,
            terminal,
            progress,
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        drop(self.progress.take());
        writeln!(self.stdout, "{line}")
    }

    /// Writes a table.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        let mut lines = table.lines(self.terminal).into_iter();
        lines.try_for_each(|line| self.line(&line))
    }

    /// The lines of a table, for a command that writes only some of them.
    pub(crate) fn table_lines(&self, table: &Table) -> Vec<String> {
        table.lines(self.terminal)
    }

    /// A text with a style; without it, unless the terminal shows colours.
    pub(crate) fn styled(&self, text: &str, style: Style) -> String {
        style.apply(text, self.terminal)
    }

    /// Writes a value as JSON, in lines that a person can read.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        drop(self.progress.take());
        serde_json::to_writer_pretty(&mut *self.stdout, value)?;
        self.line("")
    }
}
