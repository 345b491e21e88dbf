//! Moving a network's addresses from one backend of host-local to the other.

use std::path::PathBuf;
use std::time::Duration;

use allocator::{Database, NetworkDir, transfer};
use anyhow::{Context, Result};
use cni_types::NetworkName;
use state::BootId;

/// How long plugins are waited for that are at work.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Where addresses are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Disk,
    Db,
}

/// A network, and where its addresses are to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Conversion {
    pub(crate) to: Backend,
    pub(crate) network: NetworkName,
    pub(crate) data_dir: PathBuf,
}

impl Conversion {
    /// Moves the addresses, under the locks of both backends, and says how many they are.
    pub(crate) fn run(self) -> Result<()> {
        let Self {
            to,
            network,
            data_dir,
        } = self;
        let boot = BootId::read();
        let moved = match to {
            Backend::Db => {
                let Some(directory) = NetworkDir::open(&data_dir, &network)? else {
                    println!(
                        "network {network} has no addresses in {}",
                        data_dir.display()
                    );
                    return Ok(());
                };
                let database = Database::create(&data_dir)?;
                let from = directory.lock(LOCK_TIMEOUT, boot)?;
                let to = database.begin(LOCK_TIMEOUT, boot)?.network(&network);
                transfer(from, to).context("nothing was lost; repeat it once this is solved")?
            }
            Backend::Disk => {
                let Some(database) = Database::open(&data_dir)? else {
                    println!("there is no database in {}", data_dir.display());
                    return Ok(());
                };
                let directory = NetworkDir::create(&data_dir, &network)?;
                let to = directory.lock(LOCK_TIMEOUT, boot)?;
                let from = database.begin(LOCK_TIMEOUT, boot)?.network(&network);
                let moved = transfer(from, to)
                    .context("nothing was lost; repeat it once this is solved")?;
                // Where there is a database, each ADD looks into it.
                database.begin(LOCK_TIMEOUT, boot)?.remove_if_empty()?;
                moved
            }
        };
        let (backend, noun) = match to {
            Backend::Db => ("db", "the database"),
            Backend::Disk => ("disk", "files"),
        };
        println!(
            "moved {moved} addresses of network {network} to {noun}: now set \"backend\": \
                \"{backend}\" in its ipam"
        );
        Ok(())
    }
}
