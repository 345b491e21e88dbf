//! The output of a command.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

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
    /// Why nothing more can be written. A command goes on: what it changes does not depend on
    /// whether somebody reads about it.
    failure: Option<io::Error>,
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
            failure: None,
        }
    }

    /// Why not everything was written; `None` also if the reader has closed the pipe, as `head`
    /// does once it has enough.
    pub(crate) fn failure(self) -> Option<io::Error> {
        self.failure.filter(|it| it.kind() != ErrorKind::BrokenPipe)
    }

    /// Writes a text as a line, with its control characters made visible.
    pub(crate) fn line(&mut self, line: &str) {
        self.raw(&visible(line));
    }

    /// As [`Output::line`], of a text that begins with a word in a style.
    pub(crate) fn styled_line(&mut self, start: &str, style: Style, rest: &str) {
        let start = style.apply(&visible(start), self.terminal);
        self.raw(&format!("{start}{}", visible(rest)));
    }

    /// Writes a line for a person who waits for an answer, where a program would read nothing.
    pub(crate) fn remark(&mut self, line: &str) {
        if self.terminal.is_terminal {
            self.line(line);
        }
    }

    fn raw(&mut self, line: &str) {
        self.write(|stdout| writeln!(stdout, "{line}"));
    }

    fn write(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        drop(self.progress.take());
        if self.failure.is_none() {
            self.failure = write(self.stdout).err();
        }
    }

    /// Writes a table.
    pub(crate) fn table(&mut self, table: &Table<'_>) {
        for line in table.lines(self.terminal) {
            self.raw(&line);
        }
    }

    /// Writes a table of keys and texts, whole: see [`Table::wrapped`].
    pub(crate) fn texts(&mut self, table: &Table<'_>) {
        for line in table.wrapped(self.terminal) {
            self.raw(&line);
        }
    }

    /// Writes a value as JSON, in lines that a person can read.
    pub(crate) fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.write(|stdout| {
            serde_json::to_writer_pretty(&mut *stdout, value)?;
            writeln!(stdout)
        });
    }
}

/// A text in which control characters are shown as such: those from files of other programs must
/// not move the cursor of a terminal. Lines and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let moves = |it: char| it.is_control() && !matches!(it, '\n' | '\t');
    if !text.contains(moves) {
        return text.into();
    }
    let mut shown = String::new();
    for it in text.chars() {
        match moves(it) {
            true => shown.extend(it.escape_debug()),
            false => shown.push(it),
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_is_no_failure_and_a_full_disk_is_one() {
        for (kind, expected) in [
            (ErrorKind::BrokenPipe, None),
            (ErrorKind::StorageFull, Some(ErrorKind::StorageFull)),
        ] {
            let mut stdout = Failing(kind);
            let mut output = Output::new(&mut stdout, Terminal::default(), None);
            output.line("a");
            output.json(&[1]);
            assert_eq!(output.failure().map(|it| it.kind()), expected);
        }
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let mut written = Vec::new();
        let terminal = Terminal {
            has_colours: true,
            ..Terminal::default()
        };
        let mut output = Output::new(&mut written, terminal, None);
        output.line("a \u{1b}[2J\u{7} \"b\" ü");
        output.styled_line("x\r", Style::Bad, ": \u{9b}");
        let expected = "a \\u{1b}[2J\\u{7} \"b\" ü\n\u{1b}[31mx\\r\u{1b}[0m: \\u{9b}\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
