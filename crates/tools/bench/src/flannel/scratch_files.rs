//! The configurations that the plugin keeps of other containers.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{container, state_dir};

/// The plugin's data folder, with a file for each container.
#[derive(Debug)]
pub(super) struct ScratchFiles {
    folder: PathBuf,
    kept: u32,
}

impl ScratchFiles {
    /// A folder with no files, which may not be there yet.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            kept: 0,
        }
    }

    /// What is kept of a container.
    pub(super) fn read(&self, container: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(container);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Writes files with these contents, which are the same for all containers, until there are that many.
    pub(super) fn grow_to(&mut self, size: u32, contents: &[u8]) -> Result<()> {
        if self.kept >= size {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        for number in self.kept..size {
            let path = self.folder.join(container::holder(number));
            let written = options
                .open(&path)
                .and_then(|mut file| file.write_all(contents));
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.kept = size;
        // Else the kernel writes it all out while calls are measured.
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// An error unless exactly those files are there that were written here.
    pub(super) fn check(&self) -> Result<()> {
        let count = state_dir::count(&self.folder, container::is_id)?;
        let folder = self.folder.display();
        let kept = self.kept;
        ensure!(
            count == kept,
            "{folder} has {count} kept configurations instead of {kept}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_leave_behind_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = ScratchFiles::new(folder.path());
        files.grow_to(0, b"{}").unwrap();
        files.check().unwrap();
        files.grow_to(2, b"{}").unwrap();
        files.grow_to(20, b"{}").unwrap();
        assert_eq!(files.read(&container::holder(19)).unwrap(), b"{}");
        fs::create_dir(folder.path().join(".attachments")).unwrap();
        files.check().unwrap();
        fs::write(folder.path().join(container::caller(0)), "{}").unwrap();
        let error = files.check().unwrap_err().to_string();
        assert!(
            error.ends_with("has 21 kept configurations instead of 20"),
            "{error}"
        );
    }
}
