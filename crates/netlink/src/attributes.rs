//! Netlink attributes (linux/netlink.h, `struct nlattr`): the one writer and the one reader, for
//! rtnetlink and for nftables.
//!
//! ```text
//!  0       2       4
//! +-------+-------+----------- - - -+ - - -+
//! | length| kind  | value           | zeros|   length: that of header and value
//! +-------+-------+----------- - - -+ - - -+   zeros: up to a multiple of four bytes
//! ```
//!
//! The meaning of a kind depends on the message, or on the attribute that this one is nested in.
//! Numbers are in the byte order of the machine, but for nftables', which are in network byte
//! order.
//!
//! A message is read attribute by attribute, and attributes of other kinds are ignored: newer
//! kernels send more of them. What the kernel sends is never trusted to be well-formed.

use std::net::IpAddr;

use nix::libc;

use crate::uapi::header_field;

/// The length of an attribute's header in bytes.
const HEADER: usize = 4;

/// The flag of a kind that marks a value which consists of attributes.
const NESTED: u16 = header_field(libc::NLA_F_NESTED);

/// The bits of a kind that are no flags.
const KIND: u16 = header_field(libc::NLA_TYPE_MASK);

/// A message that cannot be read, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A sequence of attributes to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// No attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No attributes yet after a message's own fields, whose length is a multiple of four bytes.
    #[must_use]
    pub fn after(fields: &[u8]) -> Self {
        Self(fields.to_vec())
    }

    /// Appends an attribute with these bytes as its value, at most 65,531.
    #[must_use]
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (HEADER + value.len()) as u16;
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

    /// Appends a number of one byte.
    #[must_use]
    pub fn u8(self, kind: u16, value: u8) -> Self {
        self.bytes(kind, &[value])
    }

    /// Appends a number of two bytes.
    #[must_use]
    pub fn u16(self, kind: u16, value: u16) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number of four bytes.
    #[must_use]
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number of four bytes in network byte order.
    #[must_use]
    pub fn be32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends an IP address: 4 or 16 bytes.
    #[must_use]
    pub fn ip(self, kind: u16, value: IpAddr) -> Self {
        match value {
            IpAddr::V4(ip) => self.bytes(kind, &ip.octets()),
            IpAddr::V6(ip) => self.bytes(kind, &ip.octets()),
        }
    }

    /// Appends an attribute whose value consists of attributes, and marks it as such.
    #[must_use]
    pub fn nest(self, kind: u16, inner: Attributes) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }

    /// As [`Attributes::nest`], without the mark: messages about links, addresses and routes are
    /// older than it, and old kernels expect none.
    #[must_use]
    pub(crate) fn nest_unmarked(self, kind: u16, inner: Attributes) -> Self {
        self.bytes(kind, &inner.0)
    }

    /// Appends a value by `write`, if there is one.
    #[must_use]
    pub fn with<T>(self, value: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => write(self, value),
            None => self,
        }
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// The kinds, without flags, and the values of a sequence of attributes.
///
/// # Errors
/// An item is an error if the sequence is damaged; nothing follows it.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Malformed>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let attribute = take(&mut rest).ok_or(Malformed("an attribute is cut off"));
        if attribute.is_err() {
            rest = &[];
        }
        Some(attribute)
    })
}

/// Takes the first attribute off a sequence; `None` if it is not whole.
fn take<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let &[a, b, c, d, ..] = *rest else {
        return None;
    };
    let length = usize::from(u16::from_ne_bytes([a, b]));
    let value = rest.get(HEADER..length)?;
    // The last one may come without its zeros.
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_ne_bytes([c, d]) & KIND, value))
}

/// The value of the first attribute of a kind; empty if there is none.
///
/// # Errors
/// If the sequence is damaged before such an attribute.
pub fn find(bytes: &[u8], kind: u16) -> Result<&[u8], Malformed> {
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
pub fn text(bytes: &[u8], kind: u16) -> Result<&str, Malformed> {
    let value = find(bytes, kind)?;
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(std::str::from_utf8(text).unwrap_or_default())
}

/// The number in network byte order in the first attribute of a kind; `None` if there is none, or
/// if its value does not have four bytes.
///
/// # Errors
/// As [`find`].
pub fn be32(bytes: &[u8], kind: u16) -> Result<Option<u32>, Malformed> {
    Ok(find(bytes, kind)?.try_into().ok().map(u32::from_be_bytes))
}

/// A value that is a text and may end with a null byte.
pub(crate) fn text_of(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// A value that is a number of one byte.
pub(crate) fn u8_of(value: &[u8]) -> Result<u8, Malformed> {
    number(value).map(u8::from_ne_bytes)
}

/// A value that is a number of two bytes.
pub(crate) fn u16_of(value: &[u8]) -> Result<u16, Malformed> {
    number(value).map(u16::from_ne_bytes)
}

/// A value that is a number of four bytes.
pub(crate) fn u32_of(value: &[u8]) -> Result<u32, Malformed> {
    number(value).map(u32::from_ne_bytes)
}

/// A value that is a number of eight bytes.
pub(crate) fn u64_of(value: &[u8]) -> Result<u64, Malformed> {
    number(value).map(u64::from_ne_bytes)
}

/// A value that is a signed number of four bytes.
pub(crate) fn i32_of(value: &[u8]) -> Result<i32, Malformed> {
    number(value).map(i32::from_ne_bytes)
}

fn number<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    let wrong = Malformed("a number has the wrong length");
    value.try_into().map_err(|_| wrong)
}

/// A value that is an IP address; `None` if it has another length.
pub(crate) fn ip_of(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(octets.into());
    }
    Some(<[u8; 16]>::try_from(value).ok()?.into())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

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
    }

    #[test]
    fn a_cut_off_attribute_is_an_error_and_the_last() {
        let written = Attributes::new().u32(1, 7).u32(2, 8).into_bytes();
        for length in 0..written.len() {
            let read: Vec<_> = read(&written[..length]).collect();
            let whole = length / 8;
            let is_cut_off = length % 8 != 0;
            assert_eq!(read.len(), whole + usize::from(is_cut_off), "{length}");
            assert_eq!(read.iter().filter(|it| it.is_ok()).count(), whole);
        }
        // A length that is shorter than the header.
        assert_eq!(read(&[3, 0, 1, 0]).count(), 1);
        assert!(find(&[3, 0, 1, 0], 1).is_err());
    }

    proptest! {
        #[test]
        fn every_attribute_is_read_as_it_was_written(
            attributes in vec((0..1_u16 << 14, vec(any::<u8>(), 0..40)), 0..8),
        ) {
            let write = |written: Attributes, (kind, value): &(u16, Vec<u8>)| {
                written.bytes(*kind, value)
            };
            let written = attributes.iter().fold(Attributes::new(), write).into_bytes();
            let found: Result<Vec<_>, _> = read(&written).collect();
            let found = found.unwrap().into_iter();
            let found: Vec<_> = found.map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(found, attributes);
        }

        #[test]
        fn bytes_that_make_no_sense_are_read_to_their_end(
            bytes in vec(any::<u8>(), 0..200),
        ) {
            let values = read(&bytes).filter_map(Result::ok);
            let length: usize = values.map(|(_, value)| HEADER + value.len()).sum();
            prop_assert!(length <= bytes.len());
        }
    }
}
