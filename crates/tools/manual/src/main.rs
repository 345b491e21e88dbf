//! Writes `twill`'s manual pages and completions, which come from the definition of its command
//! line, into a directory: `man/` and `completions/`.

#![allow(
    clippy::disallowed_methods,
    reason = "a developer's command: it reads its arguments"
)]

mod completions;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.context("usage: manual DIR")?;
    pages::write_all(&subdirectory(&dir, "man")?)?;
    completions::write_all(&subdirectory(&dir, "completions")?)
}

fn subdirectory(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
