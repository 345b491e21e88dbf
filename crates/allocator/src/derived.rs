//! What Twill derives from addresses, and the Go plugin does not read.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use state::{Action, BootId, StateError};

use crate::disk::INDEX_DIRECTORY;
use crate::location::{DATABASE, DATABASE_ASIDE, DATABASE_LOCK};
use crate::{DEFAULT_LOCK_TIMEOUT, Location, StoreError, StoreKind, networks_in_files};

/// Removes the indexes of all networks in `data_dir`, and the lock of a database that is gone.
/// Returns whether there was any. Rolls back ADDs that were killed first, of which only the indexes
/// know. `boot` is the ID of the running boot, if the kernel reports it.
///
/// # Errors
/// If a network cannot be locked, or a file cannot be removed.
pub fn remove_derived(data_dir: &Path, boot: Option<BootId>) -> Result<bool, StoreError> {
    let indexes = data_dir.join(INDEX_DIRECTORY);
    let mut is_any = indexes.symlink_metadata().is_ok();
    if is_any {
        for network in networks_in_files(data_dir)? {
            let location = Location {
                data_dir: data_dir.to_owned(),
                network,
                backend: StoreKind::Disk,
                lock_timeout: DEFAULT_LOCK_TIMEOUT,
            };
            if let Some(network) = location.open_to_release()? {
                network.begin_to_release(boot)?.commit()?;
            }
        }
        let removed = fs::remove_dir_all(&indexes);
        unless_gone(removed).map_err(|source| StateError::Io {
            action: Action::Remove,
            path: indexes,
            source,
        })?;
    }
    if data_dir.join(DATABASE).symlink_metadata().is_err() {
        for name in [DATABASE_LOCK, DATABASE_ASIDE] {
            is_any |= fs::remove_file(data_dir.join(name)).is_ok();
        }
    }
    Ok(is_any)
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
