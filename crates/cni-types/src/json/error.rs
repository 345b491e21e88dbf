//! The error of everything that reads JSON.

use std::fmt;

use serde::de;

/// JSON that cannot be read, or does not have the shape that a reader asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The place of the error: `ipam.ranges[0][1].subnet`; empty for the whole document.
    path: String,
    message: String,
}

impl DecodeError {
    /// An error at a key of the document, in the form `ipam.ranges[0]`.
    pub fn at(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            path: path.into(),
            message: message.to_string(),
        }
    }

    /// The place of the error in the document, in the form `ipam.ranges[0][1].subnet`; empty for
    /// the document itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same error, seen from the object or array around its place: `inside("ipam")` of
    /// `routes[0]` is `ipam.routes[0]`.
    pub fn inside(mut self, outer: &str) -> Self {
        let separator = match self.path.chars().next() {
            None | Some('[') => "",
            Some(_) => ".",
        };
        self.path = format!("{outer}{separator}{}", self.path);
        self
    }

    /// The error of a whole document: serde_json's position is a line and column of it.
    pub(super) fn of_document(error: &serde_json::Error) -> Self {
        Self::at("", error)
    }

    /// The error of a part of the document. serde_json's position counts from the start of that
    /// part, which users cannot see, so the message does not repeat the position.
    pub(super) fn of_part(error: &serde_json::Error) -> Self {
        let message = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        Self::at("", message.strip_suffix(&position).unwrap_or(&message))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::at("", message)
    }
}
