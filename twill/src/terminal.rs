//! Standard output: a terminal, with its width and whether it shows colours, or a file.

#![allow(
    clippy::disallowed_methods,
    reason = "the edge of a program that people run: its terminal and its environment"
)]

use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

/// The properties of standard output that determine how text is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terminal {
    pub(crate) is_terminal: bool,
    /// The number of characters that fit into a line; `None` if lines may have any length, as in a
    /// file.
    pub(crate) width: Option<usize>,
    /// Whether text may have colours.
    pub(crate) has_colours: bool,
}

impl Terminal {
    /// The properties of this process's standard output. There are no colours if `NO_COLOR` is set
    /// and not empty (<https://no-color.org>), or if `TERM` is `dumb`.
    pub(crate) fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::default();
        }
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let width = tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
        Self {
            is_terminal: true,
            // A serial console does not know its width.
            width: (width > 0).then_some(width),
            has_colours: variable("NO_COLOR").is_empty() && variable("TERM") != "dumb",
        }
    }
}
