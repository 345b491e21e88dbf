//! flanneld's lease on this node.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use twill_flannel::inspect::SubnetLease;

use crate::{Part, Problem};

/// flanneld's lease, and the file that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFile {
    /// The file.
    pub path: PathBuf,
    /// When flanneld wrote it, which it does at its start; `None` if the file system does not say.
    pub written: Option<SystemTime>,
    /// What it says.
    pub lease: SubnetLease,
}

impl LeaseFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Problem`], which names the file.
    pub fn read(path: &Path) -> Part<Self> {
        let lease = SubnetLease::read(path).map_err(Problem::of)?;
        let metadata = fs::metadata(path).ok();
        Ok(Self {
            path: path.to_owned(),
            written: metadata.and_then(|metadata| metadata.modified().ok()),
            lease,
        })
    }
}
