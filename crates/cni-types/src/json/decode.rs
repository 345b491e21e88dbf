//! Decoding of a whole document.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::node::{Node, Split, is_object};
use super::{DecodeError, Entries};

/// Decodes a document, which must be UTF-8.
///
/// # Errors
/// [`DecodeError`] for bytes that are not UTF-8, and as [`from_str`].
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    from_str(to_text(bytes)?)
}

/// Decodes a document: keys without regard to case, the last of several that fit, `null` as if the
/// key were absent.
///
/// # Errors
/// [`DecodeError`] for text that is not JSON, or a value that has not the shape of `T`.
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, DecodeError> {
    if is_object(text) {
        let entries = Entries::parse(text)?;
        let raw = without_space(text);
        return T::deserialize(Split { raw, entries });
    }
    T::deserialize(Node {
        raw: check(text)?.get(),
    })
}

/// Checks the syntax of a whole document that is not an object.
pub(super) fn check(text: &str) -> Result<&RawValue, DecodeError> {
    if text.trim_ascii().is_empty() {
        return Err(DecodeError::at("", "empty: a JSON object is expected"));
    }
    serde_json::from_str(text).map_err(|error| DecodeError::of_document(&error))
}

/// The text of a document.
pub(crate) fn to_text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes)
        .map_err(|error| DecodeError::at("", format!("not UTF-8 at byte {}", error.valid_up_to())))
}

/// A document without the white space around it (RFC 8259, section 2).
pub(crate) fn without_space(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests;
