//! One network of a database transaction, as a store.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni_types::{Attachment, NetworkName, ValidAttachments};

use super::keys;
use super::{ADDRESSES, LAST, OWNERS, Transaction};
use crate::{Age, HeldAddress, Lease, Owner, SetKey, Store, StoreError};

/// A transaction on one network of the database.
pub struct DbStore<'a> {
    transaction: Transaction<'a>,
    network: NetworkName,
}

impl<'a> DbStore<'a> {
    pub(super) fn new(transaction: Transaction<'a>, network: &NetworkName) -> Self {
        Self {
            transaction,
            network: network.clone(),
        }
    }

    /// Turns this back into the transaction on all networks, with the changes of this one.
    pub fn into_transaction(self) -> Transaction<'a> {
        self.transaction
    }

    /// Records the address that a range set gave last.
    pub(super) fn set_last_given(
        &mut self,
        set: SetKey<'_>,
        address: Option<IpAddr>,
    ) -> Result<(), StoreError> {
        let Some(key) = self.last_key(set) else {
            return Ok(());
        };
        match address {
            Some(address) => {
                let value = keys::last(address, set.index);
                self.transaction.set(LAST, &key, &value)
            }
            None => self.transaction.unset(LAST, &key),
        }
    }

    fn record(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let owner_key = keys::owner(&lease.owner, &self.network);
        let mut addresses = self.addresses_of(&owner_key)?;
        addresses.push(lease.address);

        let key = keys::address(&self.network, lease.address);
        let boot = self.transaction.boot.of_age(lease.age);
        let value = keys::lease(boot, &lease.owner);
        self.transaction.set(ADDRESSES, &key, &value)?;
        let value = keys::addresses(&addresses);
        self.transaction.set(OWNERS, &owner_key, &value)
    }

    fn held_by_owner(&mut self, owner: &Owner) -> Result<Vec<HeldAddress>, StoreError> {
        let mut all = Vec::new();
        for address in self.addresses_of(&keys::owner(owner, &self.network))? {
            match self.lease(address)? {
                Some(lease) if lease.owner == *owner => all.push(HeldAddress {
                    address,
                    age: lease.age,
                }),
                _ => {
                    let reason = format!("{address} is not with its owner");
                    return Err(self.transaction.damaged(&reason));
                }
            }
        }
        Ok(all)
    }

    /// The key of a set is its first subnet, because its index may change.
    fn last_key(&self, set: SetKey<'_>) -> Option<Vec<u8>> {
        let first = set.set.ranges().first()?;
        Some(keys::subnet(&self.network, first.subnet()))
    }

    fn addresses_of(&self, owner_key: &[u8]) -> Result<Vec<IpAddr>, StoreError> {
        match self.transaction.get(OWNERS, owner_key)? {
            None => Ok(Vec::new()),
            Some(value) => keys::read_addresses(&value).ok_or_else(|| {
                self.transaction
                    .damaged("an owner's addresses make no sense")
            }),
        }
    }
}

impl Store for DbStore<'_> {
    fn last_given(&mut self, set: SetKey<'_>) -> Result<Option<IpAddr>, StoreError> {
        let Some(key) = self.last_key(set) else {
            return Ok(None);
        };
        let value = match self.transaction.get(LAST, &key)? {
            None => self
                .transaction
                .get(LAST, &keys::index(&self.network, set.index))?,
            value => value,
        };
        Ok(value.and_then(|value| Some(keys::read_last(&value)?.0)))
    }

    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<HeldAddress>, StoreError> {
        let own = Owner::from(attachment);
        let held = self.held_by_owner(&own)?;
        if !held.is_empty() {
            return Ok(held);
        }
        self.held_by_owner(&own.without_interface())
    }

    fn lease(&mut self, address: IpAddr) -> Result<Option<Lease>, StoreError> {
        let key = keys::address(&self.network, address);
        let Some(value) = self.transaction.get(ADDRESSES, &key)? else {
            return Ok(None);
        };
        let (owner, age) = keys::read_lease(&value, self.transaction.boot).ok_or_else(|| {
            self.transaction
                .damaged(&format!("the owner of {address} makes no sense"))
        })?;
        Ok(Some(Lease {
            address,
            owner,
            age,
        }))
    }

    fn is_free(&mut self, address: IpAddr) -> Result<bool, StoreError> {
        Ok(self.lease(address)?.is_none())
    }

    fn check_reserve(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn all(&mut self) -> Result<Vec<HeldAddress>, StoreError> {
        let now = self.transaction.boot;
        let prefix = keys::of_network(&self.network);
        self.transaction.scan(ADDRESSES, &prefix, |rest, value| {
            let (_, age): (Owner, Age) = keys::read_lease(value, now)?;
            let address = keys::read_address(rest)?;
            Some(HeldAddress { address, age })
        })
    }

    fn held_by_invalid(&mut self, valid: &ValidAttachments) -> Result<Vec<IpAddr>, StoreError> {
        let now = self.transaction.boot;
        let prefix = keys::of_network(&self.network);
        let all = self.transaction.scan(ADDRESSES, &prefix, |rest, value| {
            let (owner, _): (Owner, Age) = keys::read_lease(value, now)?;
            let address = keys::read_address(rest)?;
            Some((!owner.is_valid(valid)).then_some(address))
        })?;
        Ok(all.into_iter().flatten().collect())
    }

    fn reserve(
        &mut self,
        address: IpAddr,
        attachment: &Attachment,
        set: SetKey<'_>,
    ) -> Result<bool, StoreError> {
        let lease = Lease {
            address,
            owner: attachment.into(),
            age: Age::ThisBoot,
        };
        if !self.adopt(&lease)? {
            return Ok(false);
        }
        self.set_last_given(set, Some(address))?;
        Ok(true)
    }

    fn release(&mut self, address: IpAddr) -> Result<(), StoreError> {
        let Some(lease) = self.lease(address)? else {
            return Ok(());
        };
        let key = keys::address(&self.network, address);
        self.transaction.unset(ADDRESSES, &key)?;
        let owner_key = keys::owner(&lease.owner, &self.network);
        let mut addresses = self.addresses_of(&owner_key)?;
        addresses.retain(|held| *held != address);
        if addresses.is_empty() {
            self.transaction.unset(OWNERS, &owner_key)
        } else {
            let value = keys::addresses(&addresses);
            self.transaction.set(OWNERS, &owner_key, &value)
        }
    }

    fn adopt(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        if self.lease(lease.address)?.is_some() {
            return Ok(false);
        }
        self.record(lease)?;
        Ok(true)
    }

    fn all_last_given(&mut self) -> Result<BTreeMap<usize, IpAddr>, StoreError> {
        let prefix = keys::of_network(&self.network);
        let all = self.transaction.scan(LAST, &prefix, |_, value| {
            let (address, index) = keys::read_last(value)?;
            Some((index, address))
        })?;
        // A set's own entry comes after the one by its place, and wins.
        Ok(all.into_iter().collect())
    }

    fn adopt_last_given(&mut self, index: usize, address: IpAddr) -> Result<(), StoreError> {
        let key = keys::index(&self.network, index);
        self.transaction
            .set(LAST, &key, &keys::last(address, index))
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.transaction.commit()
    }
}
