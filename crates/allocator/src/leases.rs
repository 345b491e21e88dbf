//! Which addresses a network holds and has held, for who gives none: a look that makes nothing.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use cni_types::NetworkName;
use state::{BootId, Dir, StateError};

use crate::disk::{address_of, is_last_given, read_last_given};
use crate::{Database, DbError, Owner, Store};

/// The `dataDir` of host-local where the configuration names none.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/cni/networks";

/// A network's addresses in one of the two backends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// The addresses that somebody holds, in no order.
    pub held: Vec<IpAddr>,
    /// The address that each range set gave last, in no order.
    pub last_given: Vec<IpAddr>,
}

impl Leases {
    /// The leases in the files of a network in `data_dir`, which the Go plugin has too. Reads
    /// without a lock; none where the network has no directory.
    ///
    /// # Errors
    /// [`StateError::Io`] if the directory or a file in it cannot be read.
    pub fn in_files(data_dir: &Path, network: &NetworkName) -> Result<Self, StateError> {
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

    /// The leases of a network in the database of `data_dir`; none where there is no database.
    /// `boot` is the running boot.
    ///
    /// # Errors
    /// As of [`Database::begin`], whose lock it waits for until the timeout.
    pub fn in_database(
        data_dir: &Path,
        network: &NetworkName,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<Self, DbError> {
        let Some(database) = Database::open(data_dir)? else {
            return Ok(Self::default());
        };
        let mut store = database.begin(timeout, boot)?.network(network);
        Ok(Self {
            held: store.all()?.into_iter().map(|held| held.address).collect(),
            last_given: store.all_last_given()?.into_values().collect(),
        })
    }
}
