//! The networks' state as one transactional database.
//!
//! ```text
//! <dataDir>/.addresses.db    every network's addresses, mode 0600; `pages` says how it is written
//! <dataDir>/.addresses.lock  flock(2), held exclusively for a whole transaction
//! <dataDir>/.addresses.new   a database that is being created
//! ```
//!
//! It has three tables:
//!
//! ```text
//! addresses  network, address           → boot, owner   one network's addresses are in order
//! owners     container, ifname, network → addresses     so are one container's
//! last       network, subnet            → address       by the first subnet of a range set
//! ```
//!
//! **A committed transaction is on the disk**, and any other has changed nothing, whether a kill, a
//! power cut or a full disk ended it. Each commit records what the next process needs to continue
//! (redb's quick repair), so opening the file after a kill takes as long as at any other time,
//! whatever the number of addresses.
//!
//! **Each page has a checksum**, which is verified before redb sees the page. A damaged file is an
//! error, and is left as it is: an empty database in its place would give the addresses of running
//! containers again. An empty file is damaged too, because a new database gets its name only when
//! it is complete.
//!
//! **Processes wait for each other** at the lock, which is taken before the file is opened. redb
//! itself would refuse to open a file that another process has open.

mod check;
mod container;
mod error;
mod everything;
mod keys;
mod network;
mod pages;
mod seal;
mod session;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cni_types::NetworkName;
use redb::{StorageBackend, TableDefinition};
use state::{BootId, Dir, WriteGuard};

pub use self::container::{
    ContainerAddresses, ContainerError, NetworkRequest, allocate_container, lookup_container,
    release_container,
};
pub use self::everything::read_database;
use self::keys::Boot;
pub use self::network::DbStore;
use self::pages::PageFile;
use self::seal::SealedLock;
use self::session::Session;
use crate::location::{DATABASE, DATABASE_ASIDE as ASIDE, DATABASE_LOCK as LOCK};
use crate::{Store, StoreError};

const FILE: &str = DATABASE;

/// The mode of the directory, if it has to be created.
const DIRECTORY_MODE: u32 = 0o755;

/// The size of a new file, in bytes: 258 pages with their checksums.
const NEW_FILE: u64 = 258 * 4104;

/// The size of redb's cache, in bytes. An operation reads some twenty pages of 4096 bytes.
const CACHE: usize = 256 << 10;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

const ADDRESSES: Table = Table::new("addresses");
const OWNERS: Table = Table::new("owners");
const LAST: Table = Table::new("last");

/// The database of a directory.
#[derive(Debug)]
pub struct Database {
    dir: Dir,
    path: PathBuf,
}

impl Database {
    /// Opens the database in `data_dir`; `None` if it does not exist: no network has given an
    /// address.
    ///
    /// # Errors
    /// [`StoreError::State`] if the directory or the file cannot be opened.
    pub fn open(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        let Some(dir) = Dir::open(data_dir)? else {
            return Ok(None);
        };
        let exists = dir.open_in_place(FILE)?.is_some();
        Ok(exists.then(|| Self::in_dir(dir)))
    }

    /// Opens `data_dir` and creates it if it is missing. A missing database is created by its first
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError::State`] if the directory can be neither opened nor created.
    pub fn create(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self::in_dir(Dir::create(data_dir, DIRECTORY_MODE)?))
    }

    /// Checks, without creating anything, that an ADD could begin a transaction in `data_dir`.
    ///
    /// # Errors
    /// The error that the ADD would fail with.
    pub fn probe(data_dir: &Path) -> Result<(), StoreError> {
        let Some(dir) = Dir::open(data_dir)? else {
            return Ok(Dir::probe_for(data_dir, NEW_FILE)?);
        };
        dir.check_lock(LOCK)?;
        if dir.open_in_place(FILE)?.is_none() {
            dir.check_create()?;
            dir.check_remove(ASIDE)?;
            dir.check_space(NEW_FILE)?;
        }
        Ok(())
    }

    fn in_dir(dir: Dir) -> Self {
        let path = dir.path().join(FILE);
        Self { dir, path }
    }

    /// Takes the lock, and begins a transaction on all networks. `boot` is the ID of the running
    /// boot, if the kernel reports it.
    ///
    /// # Errors
    /// [`StoreError::State`] if others hold the lock until the timeout; [`StoreError::Io`] and
    /// [`StoreError::Damaged`].
    pub fn begin(
        &self,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<Transaction<'_>, StoreError> {
        self.begin_under(self.dir.lock(LOCK, timeout)?, boot)
    }

    /// Begins a transaction on one network.
    pub(crate) fn begin_network(
        &self,
        network: &NetworkName,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<Box<dyn Store + '_>, StoreError> {
        Ok(Box::new(self.begin(timeout, boot)?.network(network)))
    }

    /// As [`Database::begin_network`], for a transaction that releases addresses and gives none:
    /// [`OpenNetwork::begin_to_release`](crate::OpenNetwork::begin_to_release).
    pub(crate) fn begin_network_to_release(
        &self,
        network: &NetworkName,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<Box<dyn Store + '_>, StoreError> {
        let transaction = self.begin_to_release(timeout, boot)?;
        Ok(Box::new(transaction.network(network)))
    }

    /// As [`Database::begin`], for a transaction that gives no address.
    fn begin_to_release(
        &self,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<Transaction<'_>, StoreError> {
        let guard = match self.dir.lock(LOCK, timeout) {
            Ok(guard) => guard,
            // The lock of the directory keeps Twill's processes apart, and nobody else writes the
            // database.
            Err(error) => self.dir.lock_without_file(error, timeout)?,
        };
        self.begin_under(guard, boot)
    }

    /// Removes the database if nobody holds an address in it.
    pub(crate) fn remove_if_empty(
        &self,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<(), StoreError> {
        self.begin(timeout, boot)?.remove_if_empty()
    }

    fn begin_under<'a>(
        &'a self,
        guard: WriteGuard<'a>,
        boot: Option<BootId>,
    ) -> Result<Transaction<'a>, StoreError> {
        let file = match self.dir.open_in_place(FILE)? {
            Some(file) => file,
            None => self.make(&guard)?,
        };
        let failed = |error| error::of(&self.path, error);
        let pages = PageFile::open(file).map_err(|error| failed(error.into()))?;
        self.begin_on(pages.clone(), pages, guard, boot)
    }

    /// Begins a transaction on a storage that reads and writes these pages.
    fn begin_on<'a>(
        &'a self,
        storage: impl StorageBackend,
        pages: PageFile,
        guard: WriteGuard<'a>,
        boot: Option<BootId>,
    ) -> Result<Transaction<'a>, StoreError> {
        let failed = |error| error::of(&self.path, error);
        let boot = Boot::from(boot);
        let mut lock =
            SealedLock::new(guard, pages.clone(), boot).map_err(|error| failed(error.into()))?;
        if !lock.is_intact() {
            check::check(&pages).map_err(|error| error::of_check(&self.path, error))?;
        }
        let session = Session::begin(storage, pages).map_err(failed)?;
        lock.set_right();
        Ok(Transaction {
            session,
            lock,
            boot,
            path: &self.path,
            changed: false,
        })
    }

    /// Creates the file. It gets its name when it is complete and on the disk; after an error,
    /// nothing is left.
    fn make(&self, guard: &WriteGuard<'_>) -> Result<File, StoreError> {
        guard.remove(ASIDE)?;
        self.make_aside(guard).inspect_err(|_| {
            // The next call removes it otherwise.
            let _ = guard.remove(ASIDE);
        })
    }

    fn make_aside(&self, guard: &WriteGuard<'_>) -> Result<File, StoreError> {
        guard.create(ASIDE, b"", None)?;
        let io = |source| StoreError::Io {
            path: self.path.clone(),
            source,
        };
        let aside = self.dir.open_in_place(ASIDE)?;
        let aside = aside.ok_or_else(|| io(removed()))?;
        session::make(PageFile::new(aside)).map_err(|error| error::of(&self.path, error))?;
        if !guard.rename_durably(ASIDE, FILE)? {
            // Somebody has put a file there since this call looked.
            return Err(StoreError::Replaced(self.path.clone()));
        }
        let file = self.dir.open_in_place(FILE)?;
        file.ok_or_else(|| io(removed()))
    }
}

fn removed() -> io::Error {
    io::Error::other("somebody has removed it")
}

/// A transaction on all networks of a directory. Its changes take effect when it is committed; if
/// it is dropped before that, or its process is killed, none of them does.
///
/// No other transaction in the directory can begin while it exists.
pub struct Transaction<'a> {
    // Before the lock, so that it is dropped first: the file must not be used without the lock.
    session: Session,
    lock: SealedLock<'a>,
    boot: Boot,
    path: &'a Path,
    changed: bool,
}

impl<'a> Transaction<'a> {
    /// Turns the transaction into one on a network: a [`Store`].
    pub fn network(self, network: &NetworkName) -> DbStore<'a> {
        DbStore::new(self, network)
    }

    /// Removes the database if nobody holds an address in it. A transaction that has changed
    /// something removes nothing, and a file that has replaced this transaction's stays.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read or removed.
    pub fn remove_if_empty(self) -> Result<(), StoreError> {
        let holds_any = redb::ReadableTable::range(&self.table(ADDRESSES)?, b"".as_slice()..)
            .map_err(|error| self.failed(error))?
            .next()
            .is_some();
        if !self.changed && !holds_any && self.lock.is_of_database()? {
            self.lock.guard().remove(FILE)?;
        }
        Ok(())
    }

    /// Commits the changes and releases the lock.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] if the file is not the database any more, so that nobody will read
    /// the changes; [`StoreError::Io`].
    pub fn commit(self) -> Result<(), StoreError> {
        let Transaction {
            session,
            lock,
            path,
            changed,
            ..
        } = self;
        session
            .end(changed)
            .map_err(|error| error::of(path, error))?;
        if changed && !lock.is_of_database()? {
            return Err(StoreError::Replaced(path.to_owned()));
        }
        Ok(())
    }

    fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        error::of(self.path, error.into())
    }

    fn damaged(&self, reason: &str) -> StoreError {
        StoreError::Damaged {
            path: self.path.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn table(
        &self,
        table: Table,
    ) -> Result<redb::Table<'_, &'static [u8], &'static [u8]>, StoreError> {
        self.session
            .open_table(table)
            .map_err(|error| self.failed(error))
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.table(table)?;
        let value = redb::ReadableTable::get(&table, key).map_err(|error| self.failed(error))?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn set(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.changed = true;
        self.table(table)?
            .insert(key, value)
            .map(drop)
            .map_err(|error| self.failed(error))
    }

    fn unset(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.changed = true;
        self.table(table)?
            .remove(key)
            .map(drop)
            .map_err(|error| self.failed(error))
    }

    /// Reads all entries whose keys start with `prefix`, in order.
    fn scan<T>(
        &self,
        table: Table,
        prefix: &[u8],
        mut read: impl FnMut(&[u8], &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let failed = |error: redb::StorageError| self.failed(error);
        let table = self.table(table)?;
        let mut found = Vec::new();
        for entry in redb::ReadableTable::range(&table, prefix..).map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            let Some(rest) = key.value().strip_prefix(prefix) else {
                break;
            };
            let entry = read(rest, value.value());
            found.push(entry.ok_or_else(|| self.damaged("an entry makes no sense"))?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
