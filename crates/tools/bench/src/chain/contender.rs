//! Who is measured.

use std::fmt;

/// Who is measured, in the order of the tables' columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// A program that does nothing, built as the plugins are.
    Empty,
    /// A program that has the kernel make the same and does nothing else.
    Floor,
    /// One binary that is every plugin.
    OneProcess,
    /// A binary for each plugin.
    Processes,
    /// Our flannel with the Go plugins behind it.
    Reference,
}

impl Contender {
    pub(super) const ALL: [Self; 5] = [
        Self::Empty,
        Self::Floor,
        Self::OneProcess,
        Self::Processes,
        Self::Reference,
    ];

    /// Its name in headings of proportions.
    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Floor => "floor",
            Self::OneProcess => "one process",
            Self::Processes => "processes",
            Self::Reference => "Go",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "empty program",
            Self::Floor => "floor",
            Self::OneProcess => "Twill, one process",
            Self::Processes => "Twill, processes",
            Self::Reference => "Go delegates",
        })
    }
}
