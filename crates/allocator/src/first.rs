//! The first few values of a list, for error messages.

use std::fmt;

/// The number of values of a list in an error message.
const LIMIT: usize = 8;

/// Displays a list in an error message: the first few values, and the number of all.
pub struct First<'a, T>(
    /// The list.
    pub &'a [T],
    /// The separator.
    pub &'static str,
);

impl<T: fmt::Display> fmt::Display for First<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().take(LIMIT).enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            value.fmt(f)?;
        }
        if self.0.len() > LIMIT {
            write!(f, "{}… ({} in all)", self.1, self.0.len())?;
        }
        Ok(())
    }
}
