//! The binary that is installed: that of this process.

use std::fs::{self, File};
use std::io::{self, BufRead};
use std::path::Path;

use anyhow::{Context, Result};

/// A path of this process's binary that stays valid if the file was renamed or removed since the
/// start.
const OWN: &str = "/proc/self/exe";

/// The start of an ELF file.
const ELF: &[u8] = b"\x7fELF";

/// The binary of this process.
pub(super) struct Binary {
    contents: Vec<u8>,
}

impl Binary {
    pub(super) fn of_this_process() -> Result<Self> {
        let contents = fs::read(OWN).with_context(|| format!("cannot read {OWN}"))?;
        Ok(Self { contents })
    }

    /// Whether a file has the same contents.
    pub(super) fn is_in(&self, path: &Path) -> io::Result<bool> {
        let length = u64::try_from(self.contents.len()).ok();
        Ok(Some(fs::metadata(path)?.len()) == length && fs::read(path)? == self.contents)
    }

    /// Writes the contents to a new file. The kernel shares the blocks where the file system can,
    /// or copies by itself (copy_file_range).
    pub(super) fn copy_to(&self, to: &mut File) -> io::Result<()> {
        io::copy(&mut File::open(OWN)?, to).map(drop)
    }
}

/// Whether a file is a binary of Twill, of any version.
pub(super) fn is_twill(path: &Path) -> io::Result<bool> {
    let contents = fs::read(path)?;
    if !contents.starts_with(ELF) {
        return Ok(false);
    }
    let mark = cni_plugin::BUILD_MARK.as_bytes();
    let Some((first, others)) = mark.split_first() else {
        return Ok(false);
    };
    let mut rest = contents.as_slice();
    while rest.skip_until(*first)? > 0 {
        if rest.starts_with(others) {
            return Ok(true);
        }
    }
    Ok(false)
}
