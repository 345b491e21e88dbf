//! What the mutations start from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::targets::Target;

/// The inputs in `testdata/fuzz/<target>`, in the order of their names.
pub(crate) fn read(target: Target) -> Result<Vec<Vec<u8>>> {
    let folder = folder(target);
    let read = || -> std::io::Result<_> {
        let entries = fs::read_dir(&folder)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?;
        paths.sort_unstable();
        paths.iter().map(fs::read).collect()
    };
    read().with_context(|| format!("cannot read {}", folder.display()))
}

fn folder(target: Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../testdata/fuzz")
        .join(target.name())
}
