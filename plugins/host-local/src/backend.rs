//! Where a network's addresses are noted.

use std::io;
use std::path::PathBuf;

use allocator::{Database, DbError, NetworkDir};
use cni_types::Error;
use state::{BootId, StateError};

use crate::config::{Backend, Location};
use crate::operations::Operation;

/// What keeps an operation from its end.
enum Obstacle {
    /// Others are at work on the addresses, and took longer than this was to wait.
    Busy(Error),
    Failed(Error),
}

impl Location {
    /// The directory or file that the addresses are noted in.
    pub(crate) fn to_path(&self) -> PathBuf {
        match self.backend {
            Backend::Disk => self.data_dir.join(self.network.as_str()),
            Backend::Db => Database::path_in(&self.data_dir),
        }
    }

    /// Does an operation on the network's addresses; makes what is missing on the disk.
    pub(crate) fn perform<O: Operation>(&self, operation: O) -> Result<O::Output, Error> {
        let done = match self.backend {
            Backend::Disk => {
                let directory = NetworkDir::create(&self.data_dir, &self.network)?;
                self.in_directory(&directory, operation)
            }
            Backend::Db => self.in_database(&Database::create(&self.data_dir)?, operation),
        };
        Ok(done?)
    }

    /// Does an operation on the network's addresses; `None` if none has ever been given, and
    /// nothing is made then.
    pub(crate) fn perform_if_any<O: Operation>(
        &self,
        operation: O,
    ) -> Result<Option<O::Output>, Error> {
        Ok(self.attempt_if_any(operation)?)
    }

    /// As [`Location::perform_if_any`], but `None` as well where others are at work on the
    /// addresses all the time that this was to wait.
    pub(crate) fn perform_unless_busy<O: Operation>(
        &self,
        operation: O,
    ) -> Result<Option<O::Output>, Error> {
        match self.attempt_if_any(operation) {
            Err(Obstacle::Busy(_)) => Ok(None),
            done => Ok(done?),
        }
    }

    fn attempt_if_any<O: Operation>(&self, operation: O) -> Result<Option<O::Output>, Obstacle> {
        match self.backend {
            Backend::Disk => NetworkDir::open(&self.data_dir, &self.network)?
                .map(|directory| self.in_directory(&directory, operation))
                .transpose(),
            Backend::Db => Database::open(&self.data_dir)?
                .map(|database| self.in_database(&database, operation))
                .transpose(),
        }
    }

    /// As [`Location::perform_if_any`], for DEL and GC: there is nothing to release where no
    /// address can have been noted.
    pub(crate) fn release<O: Operation>(&self, operation: O) -> Result<Option<O::Output>, Error> {
        match self.perform_if_any(operation) {
            Err(_) if self.can_have_none() => Ok(None),
            outcome => outcome,
        }
    }

    /// Whether something else is in the place of the directory or file that addresses are noted in,
    /// or of a directory that it is in. A link to where it could be is none of that: somebody may
    /// have put it elsewhere.
    pub(crate) fn can_have_none(&self) -> bool {
        let path = self.to_path();
        match (std::fs::metadata(&path), self.backend) {
            (Ok(metadata), Backend::Disk) => !metadata.is_dir(),
            (Ok(metadata), Backend::Db) => !metadata.is_file(),
            (Err(error), _) => match error.kind() {
                io::ErrorKind::NotADirectory => true,
                io::ErrorKind::NotFound => std::fs::symlink_metadata(&path).is_ok(),
                _ => false,
            },
        }
    }

    /// Finds out whether an ADD can note one address of each of some range sets.
    pub(crate) fn probe(&self, sets: usize) -> Result<(), Error> {
        match self.backend {
            Backend::Disk => Ok(NetworkDir::probe(&self.data_dir, &self.network, sets)?),
            Backend::Db => Ok(Database::probe(&self.data_dir)?),
        }
    }

    fn in_directory<O: Operation>(
        &self,
        directory: &NetworkDir,
        operation: O,
    ) -> Result<O::Output, Obstacle> {
        let lock = if O::ONLY_RELEASES {
            NetworkDir::lock_to_release
        } else {
            NetworkDir::lock
        };
        Ok(operation.run(lock(directory, self.lock_timeout, BootId::read())?)?)
    }

    fn in_database<O: Operation>(
        &self,
        database: &Database,
        operation: O,
    ) -> Result<O::Output, Obstacle> {
        let begin = if O::ONLY_RELEASES {
            Database::begin_to_release
        } else {
            Database::begin
        };
        let transaction = begin(database, self.lock_timeout, BootId::read())?;
        Ok(operation.run(transaction.network(&self.network))?)
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Obstacle::Failed(error)
    }
}

impl From<StateError> for Obstacle {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Locked { moves_on: true, .. } => Obstacle::Busy(error.into()),
            error => Obstacle::Failed(error.into()),
        }
    }
}

impl From<DbError> for Obstacle {
    fn from(error: DbError) -> Self {
        match error {
            DbError::State(error) => error.into(),
            error => Obstacle::Failed(error.into()),
        }
    }
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Busy(error) | Obstacle::Failed(error) => error,
        }
    }
}
