//! The leases of a network, for callers that give no address. Reading them creates nothing.

use std::net::IpAddr;
use std::path::Path;

use cni_types::NetworkName;
use state::{BootId, Dir, StateError};

use crate::disk::{address_of, is_last_given, read_last_given};
use crate::{Location, Owner, StoreError, StoreKind};

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

    /// The Go plugin's files are the same.
    fn in_files(data_dir: &Path, network: &NetworkName) -> Result<Self, StateError> {
        let mut leases = Self::default();
        let Some(data_dir) = Dir::open(data_dir)? else {
            return Ok(leases);
        };
        let directory = match data_dir.open_linked_child(network.as_str()) {
            Ok(Some(directory)) => directory,
            Ok(None) | Err(StateError::NotADirectory(_)) => return Ok(leases),
            Err(error) => return Err(error),
        };
        let read = |name: &str| match directory.read(name) {
            Err(StateError::NotAFile(_)) => Ok(None),
            contents => contents,
        };
        directory.visit(|name| {
            let Some(name) = name.to_str() else {
                return Ok(());
            };
            if let Some(address) = address_of(name) {
                let owner = read(name)?.and_then(|contents| Owner::parse(&contents));
                leases.held.extend(owner.map(|_| address));
            } else if is_last_given(name) {
                let last = read(name)?.and_then(read_last_given);
                leases.last_given.extend(last);
            }
            Ok::<_, StateError>(())
        })?;
        Ok(leases)
    }
}
