//! Foreign text in error messages.

use std::fmt;

/// The number of characters that an error message repeats of a foreign text.
const LIMIT: usize = 80;

/// Displays input of any size and content in an error message: in double quotes, with control
/// characters escaped, and cut after 80 characters.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(LIMIT) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", self.0.get(..end).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Quoted;

    #[test]
    fn short_text_is_kept_and_long_text_is_cut_between_characters() {
        assert_eq!(Quoted("a\n\"b\"").to_string(), r#""a\n\"b\"""#);
        let long = "ä".repeat(1000);
        assert_eq!(
            Quoted(&long).to_string(),
            format!("\"{}\"…", "ä".repeat(80))
        );
    }
}
