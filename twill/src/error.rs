//! Errors in words.

/// An error with its causes, `cannot read x: no such file`. A cause that the text before it already
/// names is not repeated: some libraries' errors name theirs, and some do not.
pub(crate) fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use allocator::StoreError;
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn no_cause_is_repeated() {
        let source = || std::io::Error::other("disk on fire");
        let naming = anyhow::Error::new(StoreError::Io {
            path: "x".into(),
            source: source(),
        });
        assert_eq!(in_words(&naming), "cannot read or write x: disk on fire");
        let outer = naming.context("no lease can be read");
        let expected = "no lease can be read: cannot read or write x: disk on fire";
        assert_eq!(in_words(&outer), expected);
        let silent = anyhow!(source()).context("cannot read x");
        assert_eq!(in_words(&silent), "cannot read x: disk on fire");
    }
}
