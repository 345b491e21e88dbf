//! The steps as they are printed: a line each, with details below.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use xtask::terminal::{Ink, Terminal, time};

const WIDTH: usize = 100;
const INDENT: usize = 20;

/// What a step returns, and what is printed of it.
pub(crate) struct Done<T> {
    value: T,
    summary: String,
    details: Vec<(String, Vec<String>)>,
    time: Option<Duration>,
}

impl<T> Done<T> {
    pub(crate) fn new(value: T, summary: impl Into<String>) -> Self {
        Self {
            value,
            summary: summary.into(),
            details: Vec::new(),
            time: None,
        }
    }

    /// Lines below the step's own; those that do not fit are folded at spaces.
    pub(crate) fn detail(mut self, name: impl Into<String>, lines: Vec<String>) -> Self {
        self.details.push((name.into(), lines));
        self
    }

    /// The time to print, if it is not the whole step's.
    pub(crate) fn took(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }
}

/// The steps so far.
pub(crate) struct Report<'a> {
    terminal: &'a mut Terminal,
    number: usize,
    title: String,
}

impl<'a> Report<'a> {
    pub(crate) fn new(terminal: &'a mut Terminal) -> Self {
        Self {
            terminal,
            number: 0,
            title: String::new(),
        }
    }

    /// The number and the title of the step that came last.
    pub(crate) fn last_step(&self) -> String {
        format!("{} ({})", self.number, self.title)
    }

    /// Does a step and prints it. A panic in it is an error like any other.
    pub(crate) fn step<T>(
        &mut self,
        title: &str,
        work: impl FnOnce() -> Result<Done<T>>,
    ) -> Result<T> {
        self.number += 1;
        self.title = title.to_owned();
        let start = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let printed = panic.downcast_ref::<String>().cloned();
            let printed =
                printed.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(anyhow!(printed.unwrap_or_else(|| "it panicked".into())))
        });
        let title = self.terminal.ink(Ink::Bold, format_args!("{title:<15}"));
        let number = self.number;
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                let failed = self.terminal.ink(Ink::Red, "FAILED");
                self.terminal
                    .line(format_args!("{number:>2}  {title} {failed}"));
                return Err(error);
            }
        };
        let time = time(done.time.unwrap_or_else(|| start.elapsed()));
        let summary = &done.summary;
        self.terminal.line(format_args!(
            "{number:>2}  {title} {summary:<64} {time:>10}"
        ));
        for (name, lines) in done.details {
            let mut name = format!("    {name:<15} ");
            // A long name has a line of its own.
            if name.chars().count() > INDENT {
                self.terminal
                    .line(self.terminal.ink(Ink::Dim, &name).trim_end());
                name = " ".repeat(INDENT);
            }
            for line in lines.iter().flat_map(|line| fold(line, WIDTH - INDENT)) {
                let line = self.terminal.ink(Ink::Dim, format_args!("{name}{line}"));
                self.terminal.line(line);
                name = " ".repeat(INDENT);
            }
        }
        Ok(done.value)
    }

    /// Prints lines that belong to no step.
    pub(crate) fn note(&mut self, line: &str) {
        self.terminal.line(line);
    }
}

/// Breaks a line at spaces so that no part is wider than `width`, where that is possible.
fn fold(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split(' ') {
        if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded() {
        assert_eq!(fold("one two three", 7), ["one two", "three"]);
        assert_eq!(fold("unbreakable", 3), ["unbreakable"]);
        assert_eq!(fold("", 3), [""]);
    }
}
