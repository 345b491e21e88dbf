//! The parts of a node, each of which can fail to be read by itself.

use std::error::Error;
use std::fmt;

/// A part of a node, or the problem that prevented reading it.
pub type Part<T> = Result<T, Problem>;

/// The reason why a part of a node cannot be read: a text that names the file or the attempted
/// operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    words: String,
    is_damage: bool,
}

impl Problem {
    /// The problem that an error is.
    pub fn of(error: impl fmt::Display) -> Self {
        Self {
            words: error.to_string(),
            is_damage: false,
        }
    }

    /// As [`Problem::of`], of contents that are not as they were written.
    pub fn damage(error: impl fmt::Display) -> Self {
        Self {
            is_damage: true,
            ..Self::of(error)
        }
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.words
    }

    /// Whether the contents are not as they were written; otherwise they cannot be read now.
    pub fn is_damage(&self) -> bool {
        self.is_damage
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Problem {}
