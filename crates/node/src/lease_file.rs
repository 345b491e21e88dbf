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
    /// The file's modification time, when flanneld last started; `None` if the file system has
    /// none.
    pub written: Option<SystemTime>,
    /// The lease.
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
