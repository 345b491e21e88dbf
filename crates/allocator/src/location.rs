//! Where a network's addresses are, and how to begin a transaction on them.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cni_types::NetworkName;
use state::BootId;

use crate::db::Database;
use crate::disk::NetworkDir;
use crate::{Store, StoreError};

/// The `dataDir` of a configuration that names none.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/cni/networks";

/// The `lockTimeout` of a configuration that names none.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The database's file in `data_dir`. No network can have the name, because of its dot.
pub(crate) const DATABASE: &str = ".addresses.db";

/// The file whose lock guards the database, and the file that is about to become the database.
pub(crate) const DATABASE_LOCK: &str = ".addresses.lock";
pub(crate) const DATABASE_ASIDE: &str = ".addresses.new";

/// The two kinds of store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// `disk`: one file per address, as the Go plugin has it.
    #[default]
    Disk,
    /// `db`: one database file for all networks.
    Db,
}

impl FromStr for StoreKind {
    type Err = UnknownStoreKind;

    fn from_str(name: &str) -> Result<Self, UnknownStoreKind> {
        match name {
            "disk" => Ok(Self::Disk),
            "db" => Ok(Self::Db),
            _ => Err(UnknownStoreKind),
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Db => "db",
        })
    }
}

/// A name that is not one of a [`StoreKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither \"disk\" nor \"db\"")]
pub struct UnknownStoreKind;

/// Where a network's addresses are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// `dataDir`: the directory of all networks.
    pub data_dir: PathBuf,
    /// The network.
    pub network: NetworkName,
    /// `backend`: the kind of store in `data_dir`.
    pub backend: StoreKind,
    /// `lockTimeout`: the timeout for the lock that operations on the same network hold.
    pub lock_timeout: Duration,
}

impl Location {
    /// The network's directory, or the database's file.
    pub fn path(&self) -> PathBuf {
        match self.backend {
            StoreKind::Disk => self.data_dir.join(self.network.as_str()),
            StoreKind::Db => self.data_dir.join(DATABASE),
        }
    }

    /// The same network in the other backend.
    pub fn other(&self) -> Self {
        let backend = match self.backend {
            StoreKind::Disk => StoreKind::Db,
            StoreKind::Db => StoreKind::Disk,
        };
        Self {
            backend,
            ..self.clone()
        }
    }

    /// Opens the network to give addresses. Creates the directories that are missing; a missing
    /// database is created by its first transaction.
    ///
    /// # Errors
    /// [`StoreError::State`] if a directory can be neither opened nor created;
    /// [`StoreError::NoDatabase`].
    pub fn create(&self) -> Result<OpenNetwork<'_>, StoreError> {
        Ok(self.opened(match self.backend {
            StoreKind::Disk => Handle::Files(NetworkDir::create(&self.data_dir, &self.network)?),
            StoreKind::Db => Handle::Database(Database::create(&self.data_dir)?),
        }))
    }

    /// Opens the network; creates nothing. `None` if there is no directory or database: no address
    /// was ever given.
    ///
    /// # Errors
    /// [`StoreError::State`] if the directory or the database cannot be opened;
    /// [`StoreError::NoDatabase`].
    pub fn open(&self) -> Result<Option<OpenNetwork<'_>>, StoreError> {
        let handle = match self.backend {
            StoreKind::Disk => NetworkDir::open(&self.data_dir, &self.network)?.map(Handle::Files),
            StoreKind::Db => Database::open(&self.data_dir)?.map(Handle::Database),
        };
        Ok(handle.map(|handle| self.opened(handle)))
    }

    /// Opens the network to release addresses. `None` also if something else has the name of the
    /// directory or of the database, or of a parent: no address can have been given there.
    ///
    /// # Errors
    /// As [`Location::open`] otherwise.
    pub fn open_to_release(&self) -> Result<Option<OpenNetwork<'_>>, StoreError> {
        match self.open() {
            Err(_) if self.is_blocked() => Ok(None),
            opened => opened,
        }
    }

    /// Checks, without creating anything, that an ADD could record one address for each of `sets`
    /// range sets.
    ///
    /// # Errors
    /// The error that the ADD would fail with.
    pub fn probe(&self, sets: usize) -> Result<(), StoreError> {
        match self.backend {
            StoreKind::Disk => Ok(NetworkDir::probe(&self.data_dir, &self.network, sets)?),
            StoreKind::Db => Database::probe(&self.data_dir),
        }
    }

    fn opened(&self, handle: Handle) -> OpenNetwork<'_> {
        OpenNetwork {
            location: self,
            handle,
        }
    }

    /// Whether something else is where the network's directory or the database would be. A link to
    /// one counts as one: somebody may have moved it.
    fn is_blocked(&self) -> bool {
        let path = self.path();
        match (fs::metadata(&path), self.backend) {
            (Ok(metadata), StoreKind::Disk) => !metadata.is_dir(),
            (Ok(metadata), StoreKind::Db) => !metadata.is_file(),
            (Err(error), _) => match error.kind() {
                io::ErrorKind::NotADirectory => true,
                io::ErrorKind::NotFound => fs::symlink_metadata(&path).is_ok(),
                _ => false,
            },
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().display().fmt(f)
    }
}

/// A network whose directory or database is open, but not locked.
#[derive(Debug)]
pub struct OpenNetwork<'a> {
    location: &'a Location,
    handle: Handle,
}

#[derive(Debug)]
enum Handle {
    Files(NetworkDir),
    Database(Database),
}

impl OpenNetwork<'_> {
    /// Takes the network's lock, and begins a transaction. It first rolls back an ADD that was
    /// killed. `boot` is the ID of the running boot, if the kernel reports it.
    ///
    /// # Errors
    /// [`StoreError::State`] if others hold the lock until the timeout
    /// ([`StateError::Locked`](state::StateError::Locked)), or if a file cannot be used;
    /// [`StoreError::Io`] and [`StoreError::Damaged`].
    pub fn begin(&self, boot: Option<BootId>) -> Result<Box<dyn Store + '_>, StoreError> {
        let timeout = self.location.lock_timeout;
        match &self.handle {
            Handle::Files(directory) => Ok(Box::new(directory.lock(timeout, boot)?)),
            Handle::Database(database) => {
                database.begin_network(&self.location.network, timeout, boot)
            }
        }
    }

    /// As [`OpenNetwork::begin`], for a transaction that releases addresses and gives none. Where
    /// nobody can lock the lock file (a directory, a FIFO, a socket or a link has its name, or the
    /// disk is too full to create it), the lock of the directory suffices.
    ///
    /// # Errors
    /// As [`OpenNetwork::begin`].
    pub fn begin_to_release(
        &self,
        boot: Option<BootId>,
    ) -> Result<Box<dyn Store + '_>, StoreError> {
        let timeout = self.location.lock_timeout;
        match &self.handle {
            Handle::Files(directory) => Ok(Box::new(directory.lock_to_release(timeout, boot)?)),
            Handle::Database(database) => {
                database.begin_network_to_release(&self.location.network, timeout, boot)
            }
        }
    }

    /// Removes a database in which nobody holds an address. Files stay.
    ///
    /// # Errors
    /// As [`OpenNetwork::begin`].
    pub(crate) fn remove_if_empty(&self, boot: Option<BootId>) -> Result<(), StoreError> {
        match &self.handle {
            Handle::Files(_) => Ok(()),
            Handle::Database(database) => {
                database.remove_if_empty(self.location.lock_timeout, boot)
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(feature = "db"))]
mod tests {
    use super::*;

    fn location(data_dir: PathBuf) -> Location {
        Location {
            data_dir,
            network: "net".parse().unwrap(),
            backend: StoreKind::Db,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
        }
    }

    #[test]
    fn a_build_without_a_database_gives_no_address_from_one() {
        let temp = tempfile::tempdir().unwrap();
        let location = location(temp.path().to_owned());
        let expected = format!(
            "{} is a database, and these plugins were built without one (the feature `db`): \
                install a build with it, or set \"backend\": \"disk\" and, if no container has \
                its addresses in that file, move the file away",
            location.path().display()
        );
        assert_eq!(location.create().unwrap_err().to_string(), expected);
        assert_eq!(location.probe(1).unwrap_err().to_string(), expected);
        assert!(location.open().unwrap().is_none());

        fs::write(location.path(), "").unwrap();
        assert_eq!(location.open().unwrap_err().to_string(), expected);
        assert!(location.open_to_release().is_err());
    }

    #[test]
    fn a_build_without_a_database_releases_nothing_where_none_can_be() {
        let temp = tempfile::tempdir().unwrap();
        let location = location(temp.path().to_owned());
        fs::create_dir(location.path()).unwrap();
        assert!(location.open_to_release().unwrap().is_none());
    }
}
