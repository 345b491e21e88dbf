//! Reading the addresses of all networks.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cni_types::NetworkName;
use state::BootId;

use super::keys;
use super::{ADDRESSES, Database, LAST};
use crate::StoreError;
use crate::records::{Record, Records};

/// Reads the addresses of all networks in the database of `data_dir`, under its lock. `None` if
/// there is no database. `boot` is the ID of the running boot, if the kernel reports it.
///
/// # Errors
/// As [`Database::open`] and [`Database::begin`].
pub fn read_database(
    data_dir: &Path,
    timeout: Duration,
    boot: Option<BootId>,
) -> Result<Option<BTreeMap<NetworkName, Records>>, StoreError> {
    let Some(database) = Database::open(data_dir)? else {
        return Ok(None);
    };
    let transaction = database.begin_to_release(timeout, boot)?;
    let now = transaction.boot;
    let mut networks: BTreeMap<NetworkName, Records> = BTreeMap::new();
    // In ascending order, as the keys are.
    transaction.scan(ADDRESSES, b"", |key, value| {
        let (network, address) = keys::read_network(key)?;
        let (owner, age) = keys::read_lease(value, now)?;
        let record = Record {
            address: keys::read_address(address)?,
            owner: Ok(owner),
            age,
            since: None,
        };
        networks.entry(network).or_default().records.push(record);
        Some(())
    })?;
    let last = transaction.scan(LAST, b"", |key, value| {
        let (network, _) = keys::read_network(key)?;
        Some((network, keys::read_last(value)?))
    })?;
    for (network, (address, index)) in last {
        let records = networks.entry(network).or_default();
        records.last_given.insert(index, address);
    }
    Ok(Some(networks))
}
