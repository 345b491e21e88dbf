//! The addresses of an owner, found by the index or, without one, by reading every file.

use std::collections::HashSet;
use std::net::IpAddr;

use cni_types::ValidAttachments;
use state::{Dir, StateError};

use super::boot_tag::BootTag;
use super::files::{AddressFile, AddressFiles};
use super::index::{Index, Journal, Key, Opened, OwnerHash, Slot, Unusable};
use crate::{Age, HeldAddress, Owner};

/// The addresses of a network and their owners, during one operation.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    indexes: Option<Dir>,
    network: &'a str,
    key: Key,
    source: Source,
    removed: Vec<Slot>,
    added: Vec<Slot>,
    /// Whether the directory has changed since the index was marked current.
    changed: bool,
    /// Why it is unknown whether an index with the journal of an earlier ADD still exists. Whoever
    /// reads that journal later rolls it back, so no address may be given meanwhile.
    unknown: Option<StateError>,
}

#[derive(Debug)]
enum Source {
    Index(Index),
    /// All files were read, and no index could be written.
    Scan(Vec<Slot>),
}

impl<'a> Lookup<'a> {
    /// Opens the network's index. Rolls back its journal and rebuilds the index if it is not
    /// current. `indexes` is the directory of the indexes; `None` if there can be none.
    pub(super) fn open(
        files: &mut AddressFiles<'_>,
        indexes: Result<Option<Dir>, StateError>,
        network: &'a str,
    ) -> Result<Self, StateError> {
        let (indexes, mut unknown) = match indexes {
            Ok(indexes) => (indexes, None),
            Err(error) => (None, Some(error)),
        };
        let opened = match &indexes {
            Some(indexes) => Index::open(indexes, network),
            None => Opened::Nothing,
        };
        let index = match opened {
            Opened::Index(index) => Some(index),
            Opened::Nothing => None,
            Opened::Unread(error) => {
                unknown = Some(error);
                None
            }
        };
        let mut lookup = Self {
            indexes,
            network,
            key: index.as_ref().map_or_else(Key::random, Index::key),
            source: Source::Scan(Vec::new()),
            removed: Vec::new(),
            added: Vec::new(),
            changed: false,
            unknown,
        };
        match index {
            Some(index) if index.is_current(files.guard.dir().stamp()?, files.boot) => {
                files.boot = files.boot.map(|boot| boot.kept_as(index.kept_tag()));
                lookup.source = Source::Index(index);
            }
            index => {
                files.learn_tags();
                if let Some(index) = index {
                    undo(files, index.journal(), lookup.key)?;
                    lookup.source = Source::Index(index);
                }
                lookup.rebuild(files)?;
            }
        }
        Ok(lookup)
    }

    /// The hash by which an owner's addresses are found.
    pub(super) fn hash(&self, owner: &Owner) -> OwnerHash {
        self.key.hash(owner)
    }

    /// The addresses that an owner holds, each checked in its file.
    pub(super) fn held_by(
        &mut self,
        files: &AddressFiles<'_>,
        owner: &Owner,
    ) -> Result<Vec<HeldAddress>, StateError> {
        let hash = self.hash(owner);
        if let Ok(slots) = self.find(hash)
            && let (held, true) = self.verify(files, owner, &slots)?
        {
            return Ok(held);
        }
        self.rebuild(files)?;
        let slots = self.find(hash).unwrap_or_default();
        self.verify(files, owner, &slots).map(|(held, _)| held)
    }

    /// All addresses that somebody holds.
    pub(super) fn all(&mut self, files: &AddressFiles<'_>) -> Result<Vec<HeldAddress>, StateError> {
        let held = self.slots(files)?.into_iter().map(|slot| HeldAddress {
            address: slot.address,
            age: slot.age,
        });
        Ok(held.collect())
    }

    /// The addresses of owners that are not valid, compared by their hashes. Reads no file of a
    /// valid owner.
    pub(super) fn held_by_invalid(
        &mut self,
        files: &AddressFiles<'_>,
        valid: &ValidAttachments,
    ) -> Result<Vec<IpAddr>, StateError> {
        let mut slots = self.slots(files)?;
        if !slots.is_empty() {
            let valid = self.key.hashes_of(valid);
            slots.retain(|slot| valid.binary_search(&slot.owner).is_err());
        }
        Ok(slots.into_iter().map(|slot| slot.address).collect())
    }

    fn slots(&self, files: &AddressFiles<'_>) -> Result<Vec<Slot>, StateError> {
        let mut slots = match &self.source {
            Source::Scan(slots) => slots.clone(),
            Source::Index(index) => match index.all() {
                Ok(slots) => slots,
                Err(Unusable::Damaged | Unusable::Full) => files.scan(self.key)?,
            },
        };
        self.apply_changes(&mut slots);
        Ok(slots)
    }

    /// Checks that nobody will roll back an address that is given now.
    ///
    /// # Errors
    /// [`StateError`] if the journal of an earlier ADD may still exist.
    pub(super) fn check_known(&mut self) -> Result<(), StateError> {
        self.unknown.take().map_or(Ok(()), Err)
    }

    /// Records in the journal the addresses that an ADD has taken and is about to take.
    ///
    /// # Errors
    /// As [`Lookup::check_known`].
    pub(super) fn announce(
        &mut self,
        owner: OwnerHash,
        addresses: Vec<IpAddr>,
    ) -> Result<(), StateError> {
        self.check_known()?;
        self.changed = true;
        if let Source::Index(index) = &mut self.source {
            // If the journal cannot be written, a kill leaves the address to the runtime's DEL.
            let _ = index.set_journal(Journal {
                owner: Some(owner),
                addresses,
            });
        }
        Ok(())
    }

    /// Releases an address if the owner was given it.
    pub(super) fn undo(
        &self,
        files: &AddressFiles<'_>,
        owner: OwnerHash,
        address: IpAddr,
    ) -> Result<(), StateError> {
        let journal = Journal {
            owner: Some(owner),
            addresses: vec![address],
        };
        undo(files, &journal, self.key)
    }

    /// Records that something else in the directory has changed.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Records that an address was given.
    pub(super) fn add(&mut self, owner: OwnerHash, address: IpAddr, age: Age) {
        self.changed = true;
        self.added.push(Slot {
            owner,
            address,
            age,
        });
    }

    /// Records that an address was released.
    pub(super) fn remove(&mut self, owner: OwnerHash, address: IpAddr) {
        self.changed = true;
        let before = self.added.len();
        self.added.retain(|slot| slot.key() != (owner, address));
        if self.added.len() == before {
            self.removed.push(Slot {
                owner,
                address,
                age: Age::ThisBoot,
            });
        }
    }

    /// Brings the index up to date, marks it current, and clears its journal. If this fails, only
    /// the journal is cleared, or the whole index removed; the next operation then rebuilds it.
    ///
    /// # Errors
    /// [`StateError`] if the journal still exists: the next operation rolls this one back.
    pub(super) fn close(&mut self, files: &AddressFiles<'_>) -> Result<(), StateError> {
        if !self.changed {
            return Ok(());
        }
        if self.bring_up_to_date(files).is_ok() {
            self.changed = false;
            return Ok(());
        }
        // The index may contain half of the changes by now, so this operation does not try again.
        let source = std::mem::replace(&mut self.source, Source::Scan(Vec::new()));
        let cleared = match source {
            Source::Index(mut index) => index.withdraw_journal(),
            Source::Scan(_) => Ok(()),
        };
        match (cleared, &self.indexes) {
            (Err(_), Some(indexes)) => Index::remove(indexes, self.network),
            _ => Ok(()),
        }
    }

    fn bring_up_to_date(&mut self, files: &AddressFiles<'_>) -> Result<(), Unusable> {
        if let Source::Index(index) = &self.source {
            match index.change(&self.removed, &self.added) {
                Err(Unusable::Full) => self.grow(files.boot)?,
                changed => changed?,
            }
        }
        match &mut self.source {
            Source::Index(index) => index.set_current(|stamp| files.guard.set_stamp(stamp)),
            Source::Scan(_) => Ok(()),
        }
    }

    fn find(&self, hash: OwnerHash) -> Result<Vec<Slot>, Unusable> {
        match &self.source {
            Source::Index(index) => index.find(hash),
            Source::Scan(slots) => {
                let own = slots.iter().filter(|slot| slot.owner == hash);
                Ok(own.copied().collect())
            }
        }
    }

    fn rebuild(&mut self, files: &AddressFiles<'_>) -> Result<(), StateError> {
        let slots = files.scan(self.key)?;
        self.added.clear();
        self.removed.clear();
        self.changed = true;
        let Some(indexes) = &self.indexes else {
            self.source = Source::Scan(slots);
            return Ok(());
        };
        let built = Index::build(indexes, self.network, &slots, self.key, files.boot);
        if let Some(index) = built {
            self.unknown = None;
            self.source = Source::Index(index);
            return Ok(());
        }
        // The old index is of no use any more, and takes room that the next one may need.
        let removed = Index::remove(indexes, self.network);
        let old = std::mem::replace(&mut self.source, Source::Scan(slots));
        self.unknown = match (removed, old) {
            (Ok(()), _) => None,
            (Err(error), Source::Index(mut index)) => {
                index.withdraw_journal().is_err().then_some(error)
            }
            (Err(_), Source::Scan(_)) => self.unknown.take(),
        };
        Ok(())
    }

    /// Replaces a full index by a larger one.
    fn grow(&mut self, boot: Option<BootTag>) -> Result<(), Unusable> {
        let (Source::Index(index), Some(indexes)) = (&self.source, &self.indexes) else {
            return Err(Unusable::Damaged);
        };
        let mut slots = index.all()?;
        self.apply_changes(&mut slots);
        let larger = Index::build(indexes, self.network, &slots, self.key, boot);
        self.source = Source::Index(larger.ok_or(Unusable::Damaged)?);
        Ok(())
    }

    /// Reads the files of an owner's slots. Returns the addresses that the owner holds, and whether
    /// all slots match their files.
    fn verify(
        &self,
        files: &AddressFiles<'_>,
        owner: &Owner,
        slots: &[Slot],
    ) -> Result<(Vec<HeldAddress>, bool), StateError> {
        let mut held = Vec::new();
        let mut right = true;
        for slot in slots {
            match files.read(slot.address)? {
                AddressFile::Lease(lease) if lease.owner == *owner => held.push(HeldAddress {
                    address: slot.address,
                    age: lease.age,
                }),
                // Two owners may have the same hash.
                AddressFile::Lease(lease) if self.hash(&lease.owner) == slot.owner => {}
                _ => right = false,
            }
        }
        held.sort_unstable();
        Ok((held, right))
    }

    fn apply_changes(&self, slots: &mut Vec<Slot>) {
        let removed: HashSet<_> = self.removed.iter().map(Slot::key).collect();
        slots.retain(|slot| !removed.contains(&slot.key()));
        slots.extend(&self.added);
    }
}

/// Rolls back an ADD that did not finish. Only files that Twill wrote are removed: after our ADD
/// was killed, the Go plugin may have given the same address to the same attachment.
fn undo(files: &AddressFiles<'_>, journal: &Journal, key: Key) -> Result<(), StateError> {
    for address in &journal.addresses {
        if files.is_tagged(*address)?
            && let AddressFile::Lease(lease) = files.read(*address)?
            && Some(key.hash(&lease.owner)) == journal.owner
        {
            files.remove(*address)?;
        }
    }
    Ok(())
}
