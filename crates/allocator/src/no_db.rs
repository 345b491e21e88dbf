//! The database of a build without the feature `db`: it can be neither opened nor created, so a
//! [`Database`] never exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cni_types::NetworkName;
use state::BootId;

use crate::location::DATABASE;
use crate::records::Records;
use crate::{Store, StoreError};

/// Reads the addresses of all networks in the database of `data_dir`, which this build cannot.
/// `None` if there is no database.
///
/// # Errors
/// [`StoreError::NoDatabase`].
pub fn read_database(
    data_dir: &Path,
    _timeout: Duration,
    _boot: Option<BootId>,
) -> Result<Option<BTreeMap<NetworkName, Records>>, StoreError> {
    match Database::open(data_dir)? {
        None => Ok(None),
        Some(database) => match database {},
    }
}

#[derive(Debug)]
pub(crate) enum Database {}

impl Database {
    pub(crate) fn open(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        match fs::symlink_metadata(data_dir.join(DATABASE)) {
            Ok(_) => Self::create(data_dir).map(Some),
            Err(_) => Ok(None),
        }
    }

    pub(crate) fn create(data_dir: &Path) -> Result<Self, StoreError> {
        Err(StoreError::NoDatabase(data_dir.join(DATABASE)))
    }

    pub(crate) fn probe(data_dir: &Path) -> Result<(), StoreError> {
        Self::create(data_dir).map(drop)
    }

    pub(crate) fn begin_network(
        &self,
        _network: &NetworkName,
        _timeout: Duration,
        _boot: Option<BootId>,
    ) -> Result<Box<dyn Store + '_>, StoreError> {
        match *self {}
    }

    pub(crate) fn begin_network_to_release(
        &self,
        _network: &NetworkName,
        _timeout: Duration,
        _boot: Option<BootId>,
    ) -> Result<Box<dyn Store + '_>, StoreError> {
        match *self {}
    }

    pub(crate) fn remove_if_empty(
        &self,
        _timeout: Duration,
        _boot: Option<BootId>,
    ) -> Result<(), StoreError> {
        match *self {}
    }
}
