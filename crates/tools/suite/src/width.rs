//! The width of source lines, which rustfmt does not limit in comments.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Prints the lines below `$0` that have more than 100 columns. A line with a string may have more:
/// JSON documents and messages are read more easily whole.
const FIND: &str = r#"LC_ALL=C.UTF-8 grep -rnE --include='*.rs' '^[^"]{101,}$' "$0" || [ $? = 1 ]"#;

/// An error if a line of a `.rs` file below a directory is too long.
pub(super) fn check(dir: &Path) -> Result<()> {
    let mut sh = Command::new("sh");
    sh.args(["-c", FIND]).arg(dir);
    let long = xtask::command::output(&mut sh).context("cannot look for long lines")?;
    ensure!(
        long.is_empty(),
        "these lines have more than 100 columns:\n{long}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_long_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a.rs"), dir.path().join("a.md"));
        let text = |columns| format!("\n{}\n", "ü".repeat(columns));
        fs::write(&file, text(100)).unwrap();
        fs::write(&other, text(101)).unwrap();
        check(dir.path()).unwrap();
        fs::write(&file, format!("\"{}\"", text(100).trim())).unwrap();
        check(dir.path()).unwrap();
        fs::write(&file, text(101)).unwrap();
        let error = check(dir.path()).unwrap_err().to_string();
        assert!(error.contains("/a.rs:2:"), "{error}");
        assert!(check(&dir.path().join("none")).is_err());
    }
}
