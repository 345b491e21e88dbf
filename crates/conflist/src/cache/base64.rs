//! Base64 with padding (RFC 4648, section 4), in which Go writes bytes to JSON.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const PADDING: u8 = b'=';

/// Encodes bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let digit = |group: u32, place: u32| {
        let index = usize::try_from(group >> (6 * place) & 63).unwrap_or_default();
        char::from(ALPHABET.get(index).copied().unwrap_or(PADDING))
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut padded = [0; 4];
        for (place, byte) in padded.iter_mut().skip(1).zip(chunk) {
            *place = *byte;
        }
        let group = u32::from_be_bytes(padded);
        for (place, written) in [(3, 1), (2, 1), (1, 2), (0, 3)] {
            text.push(match written <= chunk.len() {
                true => digit(group, place),
                false => char::from(PADDING),
            });
        }
    }
    text
}

/// Decodes text; `None` if it is no base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let end = text.len()
        - text
            .iter()
            .rev()
            .take_while(|digit| **digit == PADDING)
            .count()
            .min(2);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.get(..end)?.chunks(4) {
        let mut group = 0;
        for digit in chunk {
            let index = ALPHABET.iter().position(|known| known == digit)?;
            group = group << 6 | u32::try_from(index).ok()?;
        }
        group <<= 6 * (4 - chunk.len());
        let decoded = group.to_be_bytes();
        // Two digits are one byte, three are two, and four are three.
        bytes.extend(decoded.get(1..chunk.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]), "+//+");
        for bad in ["Z", "Zg=", "Zg", "====", "Zg=a", "Zm9v\n", "Z-9v"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
