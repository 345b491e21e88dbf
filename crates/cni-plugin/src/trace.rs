//! `TRACEPARENT`, by which a runtime says which trace a call belongs to.

/// The trace ID of a `traceparent` (W3C Trace Context, section 3.2): 32 hexadecimal digits. `None`
/// for anything that the specification has a receiver ignore.
pub(crate) fn id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let version = parts.next().filter(|part| is_hex(part, 2))?;
    let trace = parts.next().filter(|part| is_hex(part, 32))?;
    let parent = parts.next().filter(|part| is_hex(part, 16))?;
    parts.next().filter(|part| is_hex(part, 2))?;
    // Only a later version may have more parts, and no version is ff.
    let has_more = parts.next().is_some();
    let is_valid = version != "ff"
        && (version != "00" || !has_more)
        && [trace, parent]
            .iter()
            .all(|part| part.bytes().any(|digit| digit != b'0'));
    is_valid.then_some(trace)
}

fn is_hex(text: &str, length: usize) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == length && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_that_of_a_valid_traceparent() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        for good in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-later-versions-have",
        ] {
            assert_eq!(id(good), Some(trace), "{good}");
        }
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(id(bad), None, "{bad:?}");
        }
    }
}
