//! The leases of a network, for callers that give no address. Reading them creates nothing.

use std::net::IpAddr;
use std::path::Path;

use cni_types::NetworkName;
use state::{BootId, StateError};

use crate::{Location, StoreError, StoreKind, read_files};

/// A network's addresses in one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// The addresses that somebody holds, unordered.
    pub held: Vec<IpAddr>,
    /// The address that each range set gave last, unordered.
    pub last_given: Vec<IpAddr>,
}

impl Leases {
    /// Reads the leases: those in files without a lock, those in a database under its lock. There
    /// are none if the directory or the database does not exist, or something else has its name.
    /// `boot` is the ID of the running boot, if the kernel reports it.
    ///
    /// # Errors
    /// [`StoreError`] if the directory or a file in it cannot be read, or if the database's
    /// transaction cannot begin.
    pub fn read(location: &Location, boot: Option<BootId>) -> Result<Self, StoreError> {
        match location.backend {
            StoreKind::Disk => Ok(Self::in_files(&location.data_dir, &location.network)?),
            StoreKind::Db => Self::in_database(location, boot),
        }
    }

    fn in_database(location: &Location, boot: Option<BootId>) -> Result<Self, StoreError> {
        let Some(database) = location.open_to_release()? else {
            return Ok(Self::default());
        };
        let mut store = database.begin(boot)?;
        Ok(Self {
            held: store.all()?.into_iter().map(|held| held.address).collect(),
            last_given: store.all_last_given()?.into_values().collect(),
        })
    }

    fn in_files(data_dir: &Path, network: &NetworkName) -> Result<Self, StateError> {
        let records = read_files(data_dir, network, None)?.unwrap_or_default();
        let held = records.records.iter().filter(|record| record.owner.is_ok());
        Ok(Self {
            held: held.map(|record| record.address).collect(),
            last_given: records.last_given.into_values().collect(),
        })
    }
}
