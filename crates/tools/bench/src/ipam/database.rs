//! Addresses in use, in our database.
//!
//! Filled by the plugin, a call an address, tens of thousands would take minutes: each call waits for the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use allocator::{Database, NetworkStore, Range, RangeSet, RangeSpec, SetKey, Store};
use anyhow::{Result, ensure};
use cni_types::{Attachment, parse_cidr};
use state::BootId;

use super::held::{self, IFNAME, NETWORK, SUBNET};
use crate::container;

const PATIENCE: Duration = Duration::from_secs(10);

/// A network in a folder's database.
#[derive(Debug)]
pub(super) struct AddressDatabase {
    data_dir: PathBuf,
    in_use: u32,
}

impl AddressDatabase {
    /// A network with no addresses in use.
    pub(super) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            in_use: 0,
        }
    }

    /// Gives addresses until that many consecutive ones are in use, in one transaction.
    pub(super) fn grow_to(&mut self, size: u32) -> Result<()> {
        if self.in_use >= size {
            return Ok(());
        }
        let range = Range::new(RangeSpec {
            subnet: parse_cidr(SUBNET)?,
            start: None,
            end: None,
            gateway: None,
        })?;
        let set = RangeSet::new(vec![range])?;
        let key = SetKey {
            index: 0,
            set: &set,
        };
        let database = Database::create(&self.data_dir)?;
        let mut store = begin(&database)?;
        for number in self.in_use..size {
            let attachment = Attachment {
                container_id: container::holder(number).parse()?,
                ifname: IFNAME.parse()?,
            };
            let address = held::address(number).into();
            let given = store.reserve(address, &attachment, key)?;
            ensure!(given, "{address} is in use already");
        }
        store.commit()?;
        self.in_use = size;
        Ok(())
    }

    /// An error unless exactly those addresses are in use that were put into use here.
    pub(super) fn check(&self) -> Result<()> {
        let database = Database::create(&self.data_dir)?;
        let count = begin(&database)?.all()?.len();
        let in_use = self.in_use as usize;
        ensure!(
            count == in_use,
            "the database in {} has {count} addresses in use instead of {in_use}",
            self.data_dir.display()
        );
        Ok(())
    }
}

fn begin(database: &Database) -> Result<NetworkStore<'_>> {
    let transaction = database.begin(PATIENCE, BootId::read())?;
    Ok(transaction.network(&NETWORK.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_put_into_use() {
        let folder = tempfile::tempdir().unwrap();
        let mut addresses = AddressDatabase::new(folder.path());
        addresses.grow_to(2).unwrap();
        addresses.grow_to(20).unwrap();
        addresses.check().unwrap();
        addresses.in_use = 19;
        let error = addresses.check().unwrap_err().to_string();
        assert!(
            error.ends_with("20 addresses in use instead of 19"),
            "{error}"
        );
    }
}
