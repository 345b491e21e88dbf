//! The configurations that flannel keeps for DEL.

use std::path::{Path, PathBuf};

use twill_flannel::inspect::kept_files;
pub use twill_flannel::inspect::{Kept, KeptFile};

use crate::{Part, Problem};

/// A directory of kept configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptConfs {
    /// flannel's `dataDir`.
    pub data_dir: PathBuf,
    /// The files in it.
    pub files: Part<Vec<KeptFile>>,
}

impl KeptConfs {
    /// Reads a directory, without a lock.
    pub fn read(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            files: kept_files(data_dir).map_err(Problem::of),
        }
    }

    /// The usable configurations.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        let files = self.files.iter().flatten();
        files.filter_map(|file| file.kept.as_ref())
    }
}
