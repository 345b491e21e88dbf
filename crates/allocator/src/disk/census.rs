//! What a network's files hold, for who keeps addresses elsewhere: a look without lock and index that makes nothing.

use std::path::Path;

use cni_types::NetworkName;
use state::{Dir, StateError};

use super::files::address_of;
use crate::Owner;

/// How many addresses the files of a network in `data_dir` say that somebody holds.
///
/// # Errors
/// [`StateError::Io`] if the directory or a file in it cannot be read.
pub fn addresses_in_files(data_dir: &Path, network: &NetworkName) -> Result<usize, StateError> {
    let Some(data_dir) = Dir::open(data_dir)? else {
        return Ok(0);
    };
    let folder = match data_dir.open_linked_child(network.as_str()) {
        Ok(Some(folder)) => folder,
        Ok(None) | Err(StateError::NotAFolder(_)) => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut count = 0;
    folder.visit(|name| {
        if let Some(name) = name.to_str().filter(|name| address_of(name).is_some()) {
            match folder.read(name) {
                Ok(contents) => {
                    let owner = contents.and_then(|contents| Owner::parse(&contents));
                    count += usize::from(owner.is_some());
                }
                Err(StateError::NotAFile(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })?;
    Ok(count)
}
