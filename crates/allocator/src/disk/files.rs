//! The files of a network's directory, in the Go plugin's format.

use std::collections::BTreeMap;
use std::net::IpAddr;

use state::{Stamp, StateError, WriteGuard};

use super::boot_tag::BootTag;
use super::index::{Key, Slot};
use crate::{Age, Lease, Owner};

const LAST_GIVEN: &str = "last_reserved_ip.";

/// The files of a network's directory, under its lock.
#[derive(Debug)]
pub(super) struct AddressFiles<'a> {
    pub(super) guard: WriteGuard<'a>,
    pub(super) boot: Option<BootTag>,
}

/// The kind of a file whose name is an address.
pub(super) enum AddressFile {
    Missing,
    Lease(Lease),
    /// An empty or garbled file, left by a power cut, or by another plugin on a full disk. Nobody
    /// holds the address: under the lock, no other plugin is writing the file.
    Debris,
    /// Something else than a regular file, or a file with somebody's own text. It is left alone,
    /// and blocks its address.
    Foreign,
}

impl AddressFiles<'_> {
    pub(super) fn read(&self, address: IpAddr) -> Result<AddressFile, StateError> {
        match self.guard.dir().read_stamped(&address.to_string()) {
            Ok(None) => Ok(AddressFile::Missing),
            Ok(Some(file)) => Ok(match Owner::parse(&file.contents) {
                None if Owner::is_debris(&file.contents) => AddressFile::Debris,
                None => AddressFile::Foreign,
                Some(owner) => AddressFile::Lease(Lease {
                    address,
                    owner,
                    age: self.age(file.stamp),
                }),
            }),
            Err(StateError::NotAFile(_)) => Ok(AddressFile::Foreign),
            Err(error) => Err(error),
        }
    }

    /// Creates the file of a lease. Returns false if the address is not free.
    pub(super) fn give(&self, lease: &Lease) -> Result<bool, StateError> {
        let name = lease.address.to_string();
        let contents = lease.owner.to_string();
        let stamp = self.boot.map(|boot| match lease.age {
            Age::ThisBoot => boot.set(),
            Age::EarlierBoot => boot.earlier(),
        });
        let create = || self.guard.create(&name, contents.as_bytes(), stamp);
        if create()? {
            return Ok(true);
        }
        if !matches!(self.read(lease.address)?, AddressFile::Debris) {
            return Ok(false);
        }
        // Debris that nobody can remove, as an immutable file, blocks its address and nothing else.
        if self.guard.remove(&name).is_err() {
            return Ok(false);
        }
        create()
    }

    /// Whether [`AddressFiles::give`] would give an address.
    pub(super) fn is_free(&self, address: IpAddr) -> Result<bool, StateError> {
        Ok(match self.read(address)? {
            AddressFile::Missing => true,
            AddressFile::Debris => self.guard.dir().check_remove(&address.to_string()).is_ok(),
            AddressFile::Lease(_) | AddressFile::Foreign => false,
        })
    }

    /// Whether Twill wrote the file of an address.
    pub(super) fn is_tagged(&self, address: IpAddr) -> Result<bool, StateError> {
        match self.guard.dir().read_stamped(&address.to_string()) {
            Ok(file) => Ok(file.is_some_and(|file| self.is_tag(file.stamp))),
            Err(StateError::NotAFile(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Learns how the file system rounds tags.
    pub(super) fn learn_tags(&mut self) {
        self.boot = self.boot.map(|boot| {
            // If nobody may set the directory's time, tags are assumed not to be rounded.
            let learnt = self.guard.set_stamp(boot.set());
            learnt.map_or(boot, |stamp| boot.kept_as(stamp.modified))
        });
    }

    fn is_tag(&self, stamp: Stamp) -> bool {
        self.boot.is_some_and(|boot| boot.is_tag(stamp))
    }

    fn age(&self, stamp: Stamp) -> Age {
        self.boot.map_or(Age::ThisBoot, |boot| boot.age(stamp))
    }

    pub(super) fn remove(&self, address: IpAddr) -> Result<(), StateError> {
        self.guard.remove(&address.to_string()).map(drop)
    }

    pub(super) fn last_given(&self, set: usize) -> Result<Option<IpAddr>, StateError> {
        match self.guard.dir().read(&last_given_name(set)) {
            Err(StateError::NotAFile(_)) => Ok(None),
            contents => Ok(contents?.and_then(read_last_given)),
        }
    }

    pub(super) fn set_last_given(&self, set: usize, address: IpAddr) -> Result<(), StateError> {
        self.guard
            .update(&last_given_name(set), address.to_string().as_bytes())
    }

    pub(super) fn all_last_given(&self) -> Result<BTreeMap<usize, IpAddr>, StateError> {
        let mut all = BTreeMap::new();
        self.guard.dir().visit(|name| {
            if let Some(index) = name.to_str().and_then(last_given_index)
                && let Some(address) = self.last_given(index)?
            {
                all.insert(index, address);
            }
            Ok::<_, StateError>(())
        })?;
        Ok(all)
    }

    /// Reads every address file. A file of an unknown boot gets the tag of the running one, so that
    /// the next boot recognises it as older.
    pub(super) fn scan(&self, key: Key) -> Result<Vec<Slot>, StateError> {
        let mut slots = Vec::new();
        self.guard.dir().visit(|name| {
            if let Some(address) = name.to_str().and_then(address_of) {
                slots.extend(self.scan_file(address, key)?);
            }
            Ok::<_, StateError>(())
        })?;
        Ok(slots)
    }

    fn scan_file(&self, address: IpAddr, key: Key) -> Result<Option<Slot>, StateError> {
        let name = address.to_string();
        let file = match self.guard.dir().read_stamped(&name) {
            Ok(Some(file)) => file,
            Ok(None) | Err(StateError::NotAFile(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(owner) = Owner::parse(&file.contents) else {
            return Ok(None);
        };
        if let Some(boot) = self.boot.filter(|boot| !boot.is_tag(file.stamp)) {
            // If this fails, the address counts as one of the running boot for longer.
            let _ = self.guard.set_stamp_of(&name, boot.set());
        }
        Ok(Some(Slot {
            owner: key.hash(&owner),
            address,
            age: self.age(file.stamp),
        }))
    }
}

pub(super) fn last_given_name(set: usize) -> String {
    format!("{LAST_GIVEN}{set}")
}

/// The index of the range set whose last address the file with this name has.
pub(crate) fn last_given_index(name: &str) -> Option<usize> {
    name.strip_prefix(LAST_GIVEN)?.parse().ok()
}

/// Reads the contents of a file with the last address of a range set.
pub(crate) fn read_last_given(contents: Vec<u8>) -> Option<IpAddr> {
    let text = String::from_utf8(contents).ok()?;
    cni_types::parse_ip(text.trim()).ok()
}

/// The address whose file has this name. Only the canonical form (RFC 5952) counts, so no address
/// has two names.
pub(crate) fn address_of(name: &str) -> Option<IpAddr> {
    let address = cni_types::parse_ip(name).ok()?;
    (address.to_string() == name).then_some(address)
}
