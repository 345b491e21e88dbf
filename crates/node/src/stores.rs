//! The records of host-local on the node, in files and in a database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allocator::{Records, StoreError, StoreKind, networks_in_files, read_database, read_files};
use cni_types::NetworkName;
use state::BootId;

use crate::{Part, Problem};

/// The timeout for the database's lock, which an ADD holds for a millisecond.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The records in one `dataDir` of host-local.
#[derive(Clone, Debug, PartialEq)]
pub struct Stores {
    /// host-local's `dataDir`.
    pub data_dir: PathBuf,
    /// The networks in files; an error if the directory cannot be listed.
    pub files: Part<Vec<NetworkStore>>,
    /// The networks in the database; none where there is no database.
    pub database: Part<Vec<NetworkStore>>,
}

/// The records of a network in one store.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkStore {
    /// The network.
    pub network: NetworkName,
    /// The kind of store.
    pub kind: StoreKind,
    /// The records.
    pub records: Part<Records>,
}

impl Stores {
    /// Reads a directory of host-local: files without a lock, a database under its lock.
    pub fn read(data_dir: &Path, boot: Option<BootId>) -> Self {
        let files = networks_in_files(data_dir).map_err(Problem::of);
        let files = files.map(|networks| {
            let stores = networks.into_iter().filter_map(|network| {
                let records = read_files(data_dir, &network, boot).map_err(Problem::of);
                Some(NetworkStore {
                    network,
                    kind: StoreKind::Disk,
                    records: records.transpose()?,
                })
            });
            stores.collect()
        });
        let database = read_database(data_dir, LOCK_TIMEOUT, boot);
        let database = database.map_err(|error| match error {
            StoreError::Damaged { .. } => Problem::damage(error),
            _ => Problem::of(error),
        });
        let database = database.map(|networks: Option<BTreeMap<_, _>>| {
            let networks = networks.into_iter().flatten();
            let stores = networks.map(|(network, records)| NetworkStore {
                network,
                kind: StoreKind::Db,
                records: Ok(records),
            });
            stores.collect()
        });
        Self {
            data_dir: data_dir.to_owned(),
            files,
            database,
        }
    }

    /// All networks in both stores, as far as they can be read.
    pub fn networks(&self) -> impl Iterator<Item = &NetworkStore> {
        let both = [&self.files, &self.database].into_iter();
        both.filter_map(|store| store.as_ref().ok()).flatten()
    }

    /// Whether the records of a network could be read: all that there are, or those in files where
    /// the database cannot be read. A network is in one of both.
    pub fn has_read(&self, network: &NetworkName) -> bool {
        let mut has_records = false;
        for store in self.networks().filter(|store| store.network == *network) {
            match &store.records {
                Ok(records) => has_records |= !records.records.is_empty(),
                Err(_) => return false,
            }
        }
        has_records || (self.files.is_ok() && self.database.is_ok())
    }

    /// Why a store cannot be read.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let networks = self.networks();
        let networks = networks.filter_map(|network| network.records.as_ref().err());
        let both = [&self.files, &self.database].into_iter();
        both.filter_map(|store| store.as_ref().err())
            .chain(networks)
    }
}
