//! The width of source lines, which rustfmt does not limit in comments.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The most columns that a line has.
const MOST: usize = 100;

/// An error if a line of a `.rs` file below a directory is too long. A line with a string may
/// be, as JSON documents and messages are read more easily whole.
pub(super) fn check(dir: &Path) -> Result<()> {
    let mut long = Vec::new();
    find(dir, &mut long).with_context(|| format!("cannot read {}", dir.display()))?;
    let (count, long) = (long.len(), long.join("\n"));
    ensure!(
        count == 0,
        "{count} lines have more than {MOST} columns:\n{long}"
    );
    Ok(())
}

fn find(path: &Path, long: &mut Vec<String>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            find(&entry?.path(), long)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
            if line.chars().count() > MOST && !line.contains('"') {
                long.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a.rs"), dir.path().join("a.md"));
        let text = |columns| format!("\n{}\n", "ü".repeat(columns));
        fs::write(&file, text(MOST)).unwrap();
        fs::write(&other, text(MOST + 1)).unwrap();
        check(dir.path()).unwrap();
        fs::write(&file, format!("\"{}\"", text(MOST).trim())).unwrap();
        check(dir.path()).unwrap();
        fs::write(&file, text(MOST + 1)).unwrap();
        let error = check(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("/a.rs:2"), "{error}");
    }
}
