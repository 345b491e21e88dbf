use netlink_packet_core::{DecodeError, NlasIterator};

/// Marks an attribute whose value is attributes (linux/netlink.h).
const NESTED: u16 = 1 << 15;

/// Attributes in the making. nftables has its numbers in network byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(mut self, number: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(number.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn text(self, number: u16, value: &str) -> Self {
        let mut ended = value.as_bytes().to_vec();
        ended.push(0);
        self.bytes(number, &ended)
    }

    pub(crate) fn number(self, number: u16, value: u32) -> Self {
        self.bytes(number, &value.to_be_bytes())
    }

    pub(crate) fn nest(self, number: u16, inner: Attributes) -> Self {
        self.bytes(number | NESTED, &inner.0)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The numbers and values of a sequence of attributes.
pub(crate) fn read(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), DecodeError>> {
    NlasIterator::new(bytes).map(|attribute| {
        let attribute = attribute?;
        let length = usize::from(attribute.length());
        let value = attribute.into_inner().get(4..length).unwrap_or_default();
        Ok((attribute.kind(), value))
    })
}

/// The value of the first attribute with a number; empty if there is none.
pub(crate) fn find(bytes: &[u8], number: u16) -> Result<&[u8], DecodeError> {
    for attribute in read(bytes) {
        let (found, value) = attribute?;
        if found == number {
            return Ok(value);
        }
    }
    Ok(&[])
}

/// The text of the first attribute with a number; empty if there is none, or if it is not UTF-8.
pub(crate) fn text(bytes: &[u8], number: u16) -> Result<&str, DecodeError> {
    let value = find(bytes, number)?;
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(std::str::from_utf8(text).unwrap_or_default())
}

/// The number in the first attribute of a kind; `None` if there is none, or if it is not of four bytes.
pub(crate) fn number(bytes: &[u8], kind: u16) -> Result<Option<u32>, DecodeError> {
    Ok(find(bytes, kind)?.try_into().ok().map(u32::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let written = Attributes::new()
            .text(1, "ab")
            .nest(2, Attributes::new().number(7, 1))
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
        assert_eq!(number(inner, 7).unwrap(), Some(1));
        assert_eq!(number(inner, 8).unwrap(), None);
        assert_eq!(number(&written, 3).unwrap(), None);
        for length in 0..written.len() {
            let _ = find(&written[..length], 4);
        }
    }
}
