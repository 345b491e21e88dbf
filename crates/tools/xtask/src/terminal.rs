//! What the commands print, in colour where that is wanted.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Where lines go.
pub struct Terminal {
    out: Box<dyn Write>,
    colour: bool,
}

/// How a text stands out.
#[derive(Clone, Copy)]
pub enum Ink {
    /// Bold.
    Bold,
    /// Faint.
    Dim,
    /// All is well.
    Green,
    /// Something failed.
    Red,
}

impl Terminal {
    /// stdout; coloured if it is a terminal and `NO_COLOR` is unset or empty.
    pub fn stdout() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let out = std::io::stdout();
        let colour = out.is_terminal() && !plain;
        Self {
            out: Box::new(out),
            colour,
        }
    }

    /// A plain text to look at later.
    pub fn to(out: impl Write + 'static) -> Self {
        Self {
            out: Box::new(out),
            colour: false,
        }
    }

    /// A text with its colour, if colours are on.
    pub fn ink(&self, ink: Ink, text: impl Display) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Green => "32",
            Ink::Red => "1;31",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// Prints a text and shows it at once.
    pub fn text(&mut self, text: impl Display) {
        // Whoever closed stdout does not want to know.
        drop(write!(self.out, "{text}"));
        drop(self.out.flush());
    }

    /// Prints a line.
    pub fn line(&mut self, line: impl Display) {
        self.text(format_args!("{line}\n"));
    }
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
