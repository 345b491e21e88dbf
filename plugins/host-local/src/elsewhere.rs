//! Addresses of the network in the backend that the configuration does not name: what is there when
//! `backend` was changed and the addresses were not moved. They are held all the same.

use allocator::Leases;
use cni_types::Error;

use crate::config::{Backend, Location};
use crate::error::NotConverted;
use crate::operations::Count;

impl Location {
    /// The network in the other backend of the same `dataDir`.
    pub(crate) fn elsewhere(&self) -> Self {
        let backend = match self.backend {
            Backend::Disk => Backend::Db,
            Backend::Db => Backend::Disk,
        };
        Self {
            backend,
            ..self.clone()
        }
    }

    /// Finds out whether the network may give addresses in this backend.
    ///
    /// # Errors
    /// [`NotConverted`] if the other one has addresses of the network.
    pub(crate) fn check_elsewhere(&self) -> Result<(), Error> {
        self.expect_none(self.count_elsewhere(|elsewhere| elsewhere.perform_if_any(Count))?)
    }

    /// As [`Location::check_elsewhere`], but content where others are at work on the other backend
    /// all the time.
    pub(crate) fn check_elsewhere_unless_busy(&self) -> Result<(), Error> {
        self.expect_none(self.count_elsewhere(|elsewhere| elsewhere.perform_unless_busy(Count))?)
    }

    fn count_elsewhere(
        &self,
        count: impl FnOnce(&Self) -> Result<Option<usize>, Error>,
    ) -> Result<Option<usize>, Error> {
        let elsewhere = self.elsewhere();
        // One system call, which is all that it takes on most nodes.
        if std::fs::symlink_metadata(elsewhere.to_path()).is_err() {
            return Ok(None);
        }
        match elsewhere.backend {
            Backend::Disk => {
                let leases = Leases::in_files(&self.data_dir, &self.network)?;
                Ok(Some(leases.held.len()))
            }
            Backend::Db => match count(&elsewhere) {
                Err(_) if elsewhere.can_have_none() => Ok(None),
                counted => counted,
            },
        }
    }

    fn expect_none(&self, count: Option<usize>) -> Result<(), Error> {
        match count {
            None | Some(0) => Ok(()),
            Some(count) => Err(NotConverted {
                count,
                location: self.clone(),
            }
            .into()),
        }
    }
}
