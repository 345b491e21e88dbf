//! Completions of `twill`'s commands and options for shells.

use std::path::Path;

use anyhow::Result;
use clap_complete::{Shell, generate};

use super::write;

/// Each shell, and the name under which it looks for a completion.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "twill"),
    (Shell::Zsh, "_twill"),
    (Shell::Fish, "twill.fish"),
];

/// Writes a file per shell.
pub(super) fn write_all(dir: &Path) -> Result<()> {
    for (shell, name) in SHELLS {
        let mut script = Vec::new();
        generate(shell, &mut twill::command(), "twill", &mut script);
        write(&dir.join(name), script)?;
    }
    Ok(())
}
