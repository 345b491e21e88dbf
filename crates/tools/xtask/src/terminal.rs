//! What the commands print, in colour where that is wanted.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

/// How a text stands out.
#[derive(Clone, Copy)]
pub enum Ink {
    /// Bold.
    Bold = 1,
    /// Faint.
    Dim = 2,
    /// Failed.
    Red = 31,
    /// Passed.
    Green = 32,
}

/// A text with its colour, if stdout is a terminal and `NO_COLOR` is unset or empty.
pub fn ink(ink: Ink, text: impl Display) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match stdout().is_terminal() && !plain {
        true => format!("\x1b[{}m{text}\x1b[0m", ink as u8),
        false => text.to_string(),
    }
}

/// Prints a line; if stdout is closed, nobody wants to see it.
pub fn line(line: impl Display) {
    drop(writeln!(stdout(), "{line}"));
}

/// A time as one reads it: `6.1 ms`, `1.9 s` or `2 min 05 s`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_secs() {
        0 => format!("{:.1} ms", seconds * 1e3),
        1..60 => format!("{seconds:.1} s"),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time(Duration::from_micros(6_130)), "6.1 ms");
        assert_eq!(time(Duration::from_millis(1_940)), "1.9 s");
        assert_eq!(time(Duration::from_secs(125)), "2 min 05 s");
    }
}
