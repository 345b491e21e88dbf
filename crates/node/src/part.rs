//! The parts of what is read, each of which may fail by itself.

use std::error::Error;
use std::fmt;

/// A part of a node: what it holds, or why that cannot be read.
pub type Part<T> = Result<T, Problem>;

/// Why a part of a node cannot be read, in words that name the file or what was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// The problem that an error is.
    pub fn of(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Problem {}
