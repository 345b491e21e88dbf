//! The options that name the directories of the plugins' state.

use std::path::PathBuf;

use allocator::DEFAULT_DATA_DIR;
use clap::Args;
use twill_flannel::inspect;

use crate::holdings::Places;

/// The directories of the plugins' state.
#[derive(Args, Debug)]
pub(crate) struct PlacesOptions {
    /// host-local's dataDir.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    data_dir: PathBuf,
    /// flannel's dataDir.
    #[arg(long, value_name = "DIR", default_value = inspect::DEFAULT_DATA_DIR)]
    flannel_dir: PathBuf,
}

impl PlacesOptions {
    pub(crate) fn places(&self) -> Places {
        Places {
            data_dir: self.data_dir.clone(),
            flannel_dir: self.flannel_dir.clone(),
        }
    }
}
