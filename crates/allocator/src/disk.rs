//! The Go plugin's format: one directory per network, one file per address.
//!
//! ```text
//! <dataDir>/<network>/<address>             "<container ID>\r\n<ifname>", mode 0600
//! <dataDir>/<network>/last_reserved_ip.<n>  the address that range set n gave last
//! <dataDir>/<network>/lock                  flock(2), held exclusively for a whole operation
//! <dataDir>/.index/<network>                which addresses an attachment holds; see `index`
//! ```
//!
//! Both plugins may work in one directory at the same time: they take the same lock, and read each
//! other's files. The address files are the truth; everything else is derived.

mod boot_tag;
mod files;
mod index;
mod lookup;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use state::{Action, BootId, Dir, StateError, WriteGuard};

pub(crate) use self::boot_tag::BootTag;
use self::files::{AddressFile, AddressFiles, last_given_name};
pub(crate) use self::files::{address_of, last_given_index, read_last_given};
use self::index::{Index, Opened, OwnerHash, Slot};
use self::lookup::Lookup;
use crate::{Age, HeldAddress, Lease, Owner, SetKey, Store, StoreError};

/// The modes of the directories: the networks' is the Go plugin's.
const DIRECTORY_MODE: u32 = 0o755;
const INDEX_DIRECTORY_MODE: u32 = 0o700;

const LOCK: &str = "lock";

/// No network can have the name, for its dot.
pub(crate) const INDEX_DIRECTORY: &str = ".index";

/// The directory of a network's addresses. It may be a symbolic link that an operator has made.
#[derive(Debug)]
pub(crate) struct NetworkDir {
    data_dir: Dir,
    addresses: Dir,
    network: NetworkName,
}

/// The tag of a boot, as the file system of a network's files rounds it: the index knows it, unless
/// it is of another boot. Creates nothing.
pub(crate) fn tag_of_boot(data_dir: &Dir, network: &NetworkName, boot: BootId) -> BootTag {
    let tag = BootTag::of(boot);
    let indexes = data_dir.open_child(INDEX_DIRECTORY).ok().flatten();
    match indexes.map(|indexes| Index::open(&indexes, network.as_str())) {
        Some(Opened::Index(index)) if index.is_of(tag) => tag.kept_as(index.kept_tag()),
        _ => tag,
    }
}

/// The first of some owners' addresses that a network's index lacks although the index counts as
/// current: somebody has changed the address file in place. Takes no lock, and changes nothing;
/// `read` reads the owner in an address file again. `None` also if an operation is under way, and
/// without an index that is current: the next operation rebuilds it.
pub(crate) fn lacking_in_index<'r>(
    data_dir: &Dir,
    directory: &Dir,
    network: &NetworkName,
    boot: Option<BootId>,
    owners: impl Iterator<Item = (IpAddr, &'r Owner)>,
    mut read: impl FnMut(IpAddr) -> Result<Option<Owner>, StateError>,
) -> Result<Option<IpAddr>, StateError> {
    let boot = boot.map(BootTag::of);
    // Every operation changes the directory's times, and the index has those of the last one.
    let current = || -> Result<Option<Index>, StateError> {
        let Some(indexes) = data_dir.open_child(INDEX_DIRECTORY)? else {
            return Ok(None);
        };
        match Index::open(&indexes, network.as_str()) {
            Opened::Index(index) if index.is_current(directory.stamp()?, boot) => Ok(Some(index)),
            _ => Ok(None),
        }
    };
    let Some(index) = current()? else {
        return Ok(None);
    };
    let Ok(slots) = index.all() else {
        return Ok(None);
    };
    let slots: HashSet<_> = slots.iter().map(Slot::key).collect();
    for (address, owner) in owners {
        let has = |owner: &Owner| slots.contains(&(index.key().hash(owner), address));
        if !has(owner)
            && let Some(owner) = read(address)?
            && !has(&owner)
        {
            let still = current()?.is_some_and(|now| now.is_same(&index));
            return Ok(still.then_some(address));
        }
    }
    Ok(None)
}

impl NetworkDir {
    /// Opens the network's directory in `data_dir`; `None` if it does not exist: the network has
    /// given no address.
    pub(crate) fn open(data_dir: &Path, network: &NetworkName) -> Result<Option<Self>, StateError> {
        let Some(data_dir) = Dir::open(data_dir)? else {
            return Ok(None);
        };
        let addresses = data_dir.open_linked_child(network.as_str())?;
        Ok(addresses.map(|addresses| Self {
            data_dir,
            addresses,
            network: network.clone(),
        }))
    }

    /// Opens the network's directory in `data_dir`, and creates both if they are missing.
    pub(crate) fn create(data_dir: &Path, network: &NetworkName) -> Result<Self, StateError> {
        let data_dir = Dir::create(data_dir, DIRECTORY_MODE)?;
        let addresses = data_dir.create_linked_child(network.as_str(), DIRECTORY_MODE)?;
        Ok(Self {
            data_dir,
            addresses,
            network: network.clone(),
        })
    }

    /// Checks, without creating anything, that an ADD could record one address for each of `sets`
    /// range sets.
    ///
    /// # Errors
    /// The error that the ADD would fail with.
    pub(crate) fn probe(
        data_dir: &Path,
        network: &NetworkName,
        sets: usize,
    ) -> Result<(), StateError> {
        let Some(parent) = Dir::open(data_dir)? else {
            return Dir::probe(data_dir);
        };
        let Some(addresses) = parent.open_linked_child(network.as_str())? else {
            return parent.check_child(network.as_str());
        };
        addresses.check_lock(LOCK)?;
        addresses.check_create()?;
        (0..sets).try_for_each(|set| addresses.check_replace(&last_given_name(set)))
    }

    /// Takes the network's lock, waiting for at most `timeout`, and rolls back an ADD that was
    /// killed. `boot` is the ID of the running boot, if the kernel reports it.
    pub(crate) fn lock(
        &self,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<DiskStore<'_>, StateError> {
        let indexes = self.indexes();
        self.store(self.addresses.lock(LOCK, timeout)?, indexes, boot)
    }

    /// As [`NetworkDir::lock`], for a transaction that gives no address. Where nobody can lock the
    /// lock file, the directory's own lock keeps Twill's processes apart. The Go plugin may then be
    /// at work at the same time, so the index is neither used nor built, and the next operation
    /// rebuilds it.
    ///
    /// # Errors
    /// As [`NetworkDir::lock`], about the lock file if the directory cannot be locked either.
    pub(crate) fn lock_to_release(
        &self,
        timeout: Duration,
        boot: Option<BootId>,
    ) -> Result<DiskStore<'_>, StateError> {
        match self.addresses.lock(LOCK, timeout) {
            Ok(guard) => self.store(guard, self.indexes(), boot),
            Err(error) => {
                let guard = self.addresses.lock_without_file(error, timeout)?;
                self.store(guard, Ok(None), boot)
            }
        }
    }

    fn store<'a>(
        &'a self,
        guard: WriteGuard<'a>,
        indexes: Result<Option<Dir>, StateError>,
        boot: Option<BootId>,
    ) -> Result<DiskStore<'a>, StateError> {
        let boot = boot.map(BootTag::of);
        let mut files = AddressFiles { guard, boot };
        let lookup = Lookup::open(&mut files, indexes, self.network.as_str())?;
        Ok(DiskStore {
            files,
            lookup,
            given: Vec::new(),
            doubtful: None,
        })
    }

    /// The directory of the indexes; `None` if it cannot be created or used. Without it everything
    /// works, only slower.
    ///
    /// # Errors
    /// [`StateError::Io`] if it exists and cannot be opened: it may hold a journal.
    fn indexes(&self) -> Result<Option<Dir>, StateError> {
        match self
            .data_dir
            .create_child(INDEX_DIRECTORY, INDEX_DIRECTORY_MODE)
        {
            Ok(directory) => Ok(Some(directory)),
            Err(error) => match error {
                StateError::Io {
                    action: Action::Open,
                    ref source,
                    ..
                } if source.kind() != io::ErrorKind::PermissionDenied => Err(error),
                _ => Ok(None),
            },
        }
    }
}

/// A network's addresses as files, under the held lock.
#[derive(Debug)]
pub(crate) struct DiskStore<'a> {
    files: AddressFiles<'a>,
    lookup: Lookup<'a>,
    /// The addresses that this transaction has given. Unless it is committed, it releases them.
    given: Vec<(IpAddr, OwnerHash)>,
    /// An address that this transaction may have given: the attempt ended with an error.
    doubtful: Option<(IpAddr, OwnerHash)>,
}

impl Store for DiskStore<'_> {
    fn last_given(&mut self, set: SetKey<'_>) -> Result<Option<IpAddr>, StoreError> {
        Ok(self.files.last_given(set.index)?)
    }

    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<HeldAddress>, StoreError> {
        let own = Owner::from(attachment);
        let held = self.lookup.held_by(&self.files, &own)?;
        if !held.is_empty() {
            return Ok(held);
        }
        Ok(self.lookup.held_by(&self.files, &own.without_interface())?)
    }

    fn lease(&mut self, address: IpAddr) -> Result<Option<Lease>, StoreError> {
        Ok(match self.files.read(address)? {
            AddressFile::Lease(lease) => Some(lease),
            AddressFile::Missing | AddressFile::Debris | AddressFile::Foreign => None,
        })
    }

    fn is_free(&mut self, address: IpAddr) -> Result<bool, StoreError> {
        Ok(self.files.is_free(address)?)
    }

    fn check_reserve(&mut self) -> Result<(), StoreError> {
        Ok(self.lookup.check_known()?)
    }

    fn all(&mut self) -> Result<Vec<HeldAddress>, StoreError> {
        Ok(self.lookup.all(&self.files)?)
    }

    fn held_by_invalid(&mut self, valid: &ValidAttachments) -> Result<Vec<IpAddr>, StoreError> {
        Ok(self.lookup.held_by_invalid(&self.files, valid)?)
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
        let hash = self.lookup.hash(&lease.owner);
        let taking = self.given.iter().map(|(address, _)| *address);
        self.lookup
            .announce(hash, taking.chain([address]).collect())?;
        let given = self.files.give(&lease);
        self.doubtful = given.is_err().then_some((address, hash));
        if !given? {
            return Ok(false);
        }
        self.record(hash, &lease);
        self.files.set_last_given(set.index, address)?;
        Ok(true)
    }

    fn release(&mut self, address: IpAddr) -> Result<(), StoreError> {
        let AddressFile::Lease(lease) = self.files.read(address)? else {
            return Ok(());
        };
        self.files.remove(address)?;
        let hash = self.lookup.hash(&lease.owner);
        self.lookup.remove(hash, address);
        Ok(())
    }

    fn adopt(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        self.lookup.check_known()?;
        if !self.files.give(lease)? {
            return Ok(false);
        }
        self.record(self.lookup.hash(&lease.owner), lease);
        Ok(true)
    }

    fn all_last_given(&mut self) -> Result<BTreeMap<usize, IpAddr>, StoreError> {
        Ok(self.files.all_last_given()?)
    }

    fn adopt_last_given(&mut self, index: usize, address: IpAddr) -> Result<(), StoreError> {
        self.lookup.touch();
        Ok(self.files.set_last_given(index, address)?)
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.lookup.close(&self.files)?;
        self.given.clear();
        Ok(())
    }
}

impl DiskStore<'_> {
    /// Records a file that was created.
    fn record(&mut self, hash: OwnerHash, lease: &Lease) {
        self.given.push((lease.address, hash));
        self.lookup.add(hash, lease.address, lease.age);
    }
}

impl Drop for DiskStore<'_> {
    fn drop(&mut self) {
        // An address that cannot be released stays in the journal, and the index is not marked
        // current, so that the next operation releases the address.
        if let Some((address, hash)) = self.doubtful.take()
            && self.lookup.undo(&self.files, hash, address).is_err()
        {
            return;
        }
        for (address, hash) in std::mem::take(&mut self.given) {
            if self.files.remove(address).is_err() {
                return;
            }
            self.lookup.remove(hash, address);
        }
        // If this fails, the journal stays, and none of its addresses is there any more.
        let _ = self.lookup.close(&self.files);
    }
}

#[cfg(test)]
mod tests;
