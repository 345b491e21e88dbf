//! The steps as they are printed: a line each, with details below.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use xtask::terminal::{Ink, ink, line, time};

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

/// The number and the title of the step that came last.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) number: usize,
    pub(crate) title: &'static str,
}

impl Report {
    /// Does a step and prints it. A panic in it is an error like any other.
    pub(crate) fn step<T>(
        &mut self,
        title: &'static str,
        work: impl FnOnce() -> Result<Done<T>>,
    ) -> Result<T> {
        self.number += 1;
        self.title = title;
        let start = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()));
            Err(anyhow!(text.unwrap_or_else(|| "it panicked".into())))
        });
        let (number, title) = (self.number, ink(Ink::Bold, format_args!("{title:<15}")));
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                line(format_args!(
                    "{number:>2}  {title} {}",
                    ink(Ink::Red, "FAILED")
                ));
                return Err(error);
            }
        };
        let time = time(done.time.unwrap_or_else(|| start.elapsed()));
        line(format_args!(
            "{number:>2}  {title} {:<64} {time:>10}",
            done.summary
        ));
        for (name, lines) in done.details {
            let mut name = format!("    {name:<15} ");
            // A long name has a line of its own.
            if name.chars().count() > INDENT {
                line(ink(Ink::Dim, name.trim_end()));
                name = " ".repeat(INDENT);
            }
            for part in lines.iter().flat_map(|line| fold(line, WIDTH - INDENT)) {
                line(ink(Ink::Dim, format_args!("{name}{part}")));
                name = " ".repeat(INDENT);
            }
        }
        Ok(done.value)
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
