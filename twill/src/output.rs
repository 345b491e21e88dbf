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
}
