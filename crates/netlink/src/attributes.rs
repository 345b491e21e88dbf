//! Netlink attributes (linux/netlink.h, `struct nlattr`): writing them, and reading them one by
//! one.
//!
//! An attribute is a length, a kind and a value, filled up to a multiple of four bytes. What a kind
//! means depends on the message, or on the attribute that this one is nested in.

use netlink_packet_core::{DecodeError, NlasIterator};

/// The flag of an attribute's kind that marks a value which consists of attributes.
const NESTED: u16 = 1 << 15;

/// A sequence of attributes to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// No attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an attribute with these bytes as its value.
    #[must_use]
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Appends a text, which a null byte ends.
    #[must_use]
    pub fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Appends a number in network byte order, as nftables has all of its numbers.
    #[must_use]
    pub fn be32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends an attribute whose value consists of attributes.
    #[must_use]
    pub fn nest(self, kind: u16, inner: Attributes) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }

    /// The attributes as they are sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The attributes as they are sent.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The kinds and values of a sequence of attributes.
///
/// Messages are read in this way, attribute by attribute, and not with `netlink-packet-route`'s
/// types: those decode everything, the counters of a link included, and fail the whole message if a
/// kernel sends one unexpected attribute.
///
/// # Errors
/// An item is an error if the sequence is damaged; nothing follows it.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), DecodeError>> {
    NlasIterator::new(bytes).map(|attribute| {
        let attribute = attribute?;
        let length = usize::from(attribute.length());
        let value = attribute.into_inner().get(4..length).unwrap_or_default();
        Ok((attribute.kind(), value))
    })
}

/// The value of the first attribute of a kind; empty if there is none.
///
/// # Errors
/// If the sequence is damaged before such an attribute.
pub fn find(bytes: &[u8], kind: u16) -> Result<&[u8], DecodeError> {
    for attribute in read(bytes) {
        let (found, value) = attribute?;
        if found == kind {
            return Ok(value);
        }
    }
    Ok(&[])
}

/// The text of the first attribute of a kind; empty if there is none, or if it is not UTF-8.
///
/// # Errors
/// As [`find`].
pub fn text(bytes: &[u8], kind: u16) -> Result<&str, DecodeError> {
    let value = find(bytes, kind)?;
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(std::str::from_utf8(text).unwrap_or_default())
}

/// The number in network byte order in the first attribute of a kind; `None` if there is none, or
/// if its value does not have four bytes.
///
/// # Errors
/// As [`find`].
pub fn be32(bytes: &[u8], kind: u16) -> Result<Option<u32>, DecodeError> {
    Ok(find(bytes, kind)?.try_into().ok().map(u32::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_attributes_can_be_read() {
        let written = Attributes::new()
            .text(1, "ab")
            .nest(2, Attributes::new().be32(7, 1))
            .bytes(3, &[9])
            .into_bytes();
        let expected = [
            &7_u16.to_ne_bytes()[..],
            &1_u16.to_ne_bytes(),
            b"ab\0\0",
            &12_u16.to_ne_bytes(),
            &(2 | NESTED).to_ne_bytes(),
            &8_u16.to_ne_bytes(),
            &7_u16.to_ne_bytes(),
            &[0, 0, 0, 1],
            &5_u16.to_ne_bytes(),
            &3_u16.to_ne_bytes(),
            &[9, 0, 0, 0],
        ]
        .concat();
        assert_eq!(written, expected);
        assert_eq!(find(&written, 1).unwrap(), b"ab\0");
        let inner = find(&written, 2).unwrap();
        assert_eq!(find(inner, 7).unwrap(), [0, 0, 0, 1]);
        assert_eq!(find(&written, 3).unwrap(), [9]);
        assert_eq!(find(&written, 4).unwrap(), b"");
        assert_eq!(text(&written, 1).unwrap(), "ab");
        assert_eq!(text(&written, 5).unwrap(), "");
        assert_eq!(be32(inner, 7).unwrap(), Some(1));
        assert_eq!(be32(inner, 8).unwrap(), None);
        assert_eq!(be32(&written, 3).unwrap(), None);
        for length in 0..written.len() {
            let _ = find(&written[..length], 4);
        }
    }
}
