//! Where a network's addresses are noted.

use allocator::NetworkDir;
use cni_types::Error;
use state::BootId;

use crate::config::Location;
use crate::operations::Operation;

impl Location {
    /// Does an operation on the network's addresses; makes what is missing on the disk.
    pub(crate) fn perform<O: Operation>(&self, operation: O) -> Result<O::Output, Error> {
        let folder = NetworkDir::create(&self.data_dir, &self.network)?;
        operation.run(folder.lock(self.lock_patience, BootId::read())?)
    }

    /// Does an operation on the network's addresses; `None` if it has never given any, and nothing is made then.
    pub(crate) fn perform_if_any<O: Operation>(
        &self,
        operation: O,
    ) -> Result<Option<O::Output>, Error> {
        match NetworkDir::open(&self.data_dir, &self.network)? {
            None => Ok(None),
            Some(folder) => operation
                .run(folder.lock(self.lock_patience, BootId::read())?)
                .map(Some),
        }
    }

    /// Finds out whether addresses can be noted.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        Ok(NetworkDir::probe(&self.data_dir, &self.network)?)
    }
}
