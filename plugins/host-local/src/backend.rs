//! Where a network's addresses are noted.

use std::io;

use allocator::{Database, NetworkDir};
use cni_types::Error;
use state::BootId;

use crate::config::{Backend, Location};
use crate::operations::Operation;

impl Location {
    /// Does an operation on the network's addresses; makes what is missing on the disk.
    pub(crate) fn perform<O: Operation>(&self, operation: O) -> Result<O::Output, Error> {
        match self.backend {
            Backend::Disk => {
                let folder = NetworkDir::create(&self.data_dir, &self.network)?;
                self.in_folder(&folder, operation)
            }
            Backend::Db => self.in_database(&Database::create(&self.data_dir)?, operation),
        }
    }

    /// Does an operation on the network's addresses; `None` if none has ever been given, and nothing is made then.
    pub(crate) fn perform_if_any<O: Operation>(
        &self,
        operation: O,
    ) -> Result<Option<O::Output>, Error> {
        match self.backend {
            Backend::Disk => NetworkDir::open(&self.data_dir, &self.network)?
                .map(|folder| self.in_folder(&folder, operation))
                .transpose(),
            Backend::Db => Database::open(&self.data_dir)?
                .map(|database| self.in_database(&database, operation))
                .transpose(),
        }
    }

    /// As [`Location::perform_if_any`], for DEL and GC: there is nothing to release where no directory can be.
    pub(crate) fn release<O: Operation>(&self, operation: O) -> Result<Option<O::Output>, Error> {
        match self.perform_if_any(operation) {
            Err(_) if self.is_below_a_file() => Ok(None),
            outcome => outcome,
        }
    }

    /// Whether the path of the directory leads to, or through, something that is none.
    fn is_below_a_file(&self) -> bool {
        let found = match self.backend {
            Backend::Disk => std::fs::metadata(self.data_dir.join(self.network.as_str())),
            Backend::Db => std::fs::metadata(&self.data_dir),
        };
        match found {
            Ok(metadata) => !metadata.is_dir(),
            Err(error) => error.kind() == io::ErrorKind::NotADirectory,
        }
    }

    /// Finds out whether addresses can be noted.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        match self.backend {
            Backend::Disk => Ok(NetworkDir::probe(&self.data_dir, &self.network)?),
            Backend::Db => Ok(state::Dir::probe(&self.data_dir)?),
        }
    }

    fn in_folder<O: Operation>(
        &self,
        folder: &NetworkDir,
        operation: O,
    ) -> Result<O::Output, Error> {
        operation.run(folder.lock(self.lock_patience, BootId::read())?)
    }

    fn in_database<O: Operation>(
        &self,
        database: &Database,
        operation: O,
    ) -> Result<O::Output, Error> {
        let transaction = database.begin(self.lock_patience, BootId::read())?;
        operation.run(transaction.network(&self.network))
    }
}
