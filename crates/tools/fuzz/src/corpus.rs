//! What the mutations start from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::targets::Target;

/// The inputs in `testdata/fuzz/<target>`, in the order of their names.
pub(crate) fn read(target: Target) -> Result<Vec<Vec<u8>>> {
    let dir = testdata().join(target.name());
    let read = || -> std::io::Result<_> {
        let entries = fs::read_dir(&dir)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?;
        paths.sort_unstable();
        paths.iter().map(fs::read).collect()
    };
    read().with_context(|| format!("cannot read {}", dir.display()))
}

/// The words in `testdata/fuzz/dictionary`, a line each, in quotes and with `\\`, `\"` and `\xNN`.
pub(crate) fn words() -> Result<Vec<Vec<u8>>> {
    let file = testdata().join("dictionary");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(|line| word(line).with_context(|| format!("`{line}` is no word")));
    let words: Vec<_> = words.collect::<Result<_>>()?;
    ensure!(!words.is_empty(), "{} has no words", file.display());
    Ok(words)
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    while let Some((before, after)) = rest.split_once('\\') {
        word.extend(before.bytes());
        let (byte, length) = match after.strip_prefix('x') {
            Some(digits) => (u8::from_str_radix(digits.get(..2)?, 16).ok()?, 3),
            None => (after.bytes().next()?, 1),
        };
        word.push(byte);
        rest = after.get(length..)?;
    }
    word.extend(rest.bytes());
    Some(word)
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../testdata/fuzz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let line = r#""\\u0000\x0d\x0a\"a""#;
        assert_eq!(word(line).unwrap(), b"\\u0000\r\n\"a");
        assert_eq!(word("a"), None);
        assert!(words().unwrap().contains(&"ü".as_bytes().to_vec()));
    }
}
