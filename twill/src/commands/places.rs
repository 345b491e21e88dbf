//! The options that say where the plugins keep their state.

use std::path::PathBuf;

use allocator::DEFAULT_DATA_DIR;
use clap::Args;
use twill_flannel::inspect;

use crate::holdings::Places;

/// Where the plugins keep their state.
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
