//! Who holds what, by way of the index where there is one.

use std::collections::HashSet;
use std::net::IpAddr;

use state::{Dir, StateError};

use super::boot_tag::BootTag;
use super::files::{AddressFiles, Found};
use super::index::{Index, Journal, OwnerHash, Slot, Unusable};
use crate::{Age, Held, Owner};

/// What is known of a network's addresses during one operation.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    indexes: Option<&'a Dir>,
    network: &'a str,
    source: Source,
    removed: Vec<Slot>,
    added: Vec<Slot>,
    /// Whether the folder has changed since the index was declared current.
    changed: bool,
}

#[derive(Debug)]
enum Source {
    Index(Index),
    /// All files were read, and no index could be made of it.
    Scan(Vec<Slot>),
}

impl<'a> Lookup<'a> {
    /// Opens the network's index and undoes what its journal says, or makes it anew if it is not current.
    pub(super) fn open(
        files: &AddressFiles<'_>,
        indexes: Option<&'a Dir>,
        network: &'a str,
    ) -> Result<Self, StateError> {
        let index = indexes.and_then(|indexes| Index::open(indexes, network));
        let mut lookup = Self {
            indexes,
            network,
            source: Source::Scan(Vec::new()),
            removed: Vec::new(),
            added: Vec::new(),
            changed: false,
        };
        match index {
            Some(index) if index.is_current(files.guard.dir().stamp()?, files.boot) => {
                lookup.source = Source::Index(index);
            }
            index => {
                if let Some(index) = index {
                    undo(files, index.journal())?;
                }
                lookup.rebuild(files)?;
            }
        }
        Ok(lookup)
    }

    /// The addresses that an owner holds, each of them read in its file.
    pub(super) fn held_by(
        &mut self,
        files: &AddressFiles<'_>,
        owner: &Owner,
    ) -> Result<Vec<Held>, StateError> {
        let hash = OwnerHash::of(owner);
        if let Ok(slots) = self.find(hash)
            && let (held, true) = verify(files, owner, &slots)?
        {
            return Ok(held);
        }
        self.rebuild(files)?;
        let slots = self.find(hash).unwrap_or_default();
        verify(files, owner, &slots).map(|(held, _)| held)
    }

    /// All addresses that somebody holds.
    pub(super) fn all(&mut self, files: &AddressFiles<'_>) -> Result<Vec<Held>, StateError> {
        let mut slots = match &self.source {
            Source::Scan(slots) => slots.clone(),
            Source::Index(index) => match index.all() {
                Ok(slots) => slots,
                Err(Unusable::Damaged | Unusable::Full) => files.scan()?,
            },
        };
        self.apply_changes(&mut slots);
        let held = slots.into_iter().map(|slot| Held {
            address: slot.address,
            age: slot.age,
        });
        Ok(held.collect())
    }

    /// Notes, before it is done, which addresses an ADD has taken and is about to take.
    pub(super) fn announce(&mut self, owner: OwnerHash, addresses: Vec<IpAddr>) {
        self.changed = true;
        if let Source::Index(index) = &mut self.source {
            // Without the note, a kill leaves the address to the runtime's DEL.
            let _ = index.set_journal(Journal {
                owner: Some(owner),
                addresses,
            });
        }
    }

    /// Notes that something else in the folder was changed.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Notes that an address was given.
    pub(super) fn add(&mut self, owner: OwnerHash, address: IpAddr, age: Age) {
        self.changed = true;
        self.added.push(Slot {
            owner,
            address,
            age,
        });
    }

    /// Notes that an address was taken back.
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

    /// Brings the index up to date and declares it current. Where that fails it is not current, and made anew by the next
    /// operation.
    pub(super) fn close(&mut self, files: &AddressFiles<'_>) {
        let Source::Index(index) = &mut self.source else {
            return;
        };
        if !self.changed {
            return;
        }
        match index.change(&self.removed, &self.added) {
            Ok(()) => {}
            Err(Unusable::Full) => {
                if self.grow(files.boot).is_none() {
                    return;
                }
            }
            Err(Unusable::Damaged) => return,
        }
        if let Source::Index(index) = &mut self.source {
            let _ = index.set_current(|stamp| files.guard.set_stamp(stamp));
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
        let mut slots = files.scan()?;
        self.added.clear();
        self.removed.clear();
        self.changed = true;
        let index = self
            .indexes
            .and_then(|folder| Index::build(folder, self.network, &mut slots, files.boot));
        self.source = match index {
            Some(index) => Source::Index(index),
            None => Source::Scan(slots),
        };
        Ok(())
    }

    /// Makes a larger index out of the one that has no room left.
    fn grow(&mut self, boot: Option<BootTag>) -> Option<()> {
        let Source::Index(index) = &self.source else {
            return None;
        };
        let mut slots = index.all().ok()?;
        self.apply_changes(&mut slots);
        // Some buckets had been changed before one was full.
        slots.sort_unstable_by_key(Slot::key);
        slots.dedup_by_key(|slot| slot.key());
        let larger = Index::build(self.indexes?, self.network, &mut slots, boot)?;
        self.source = Source::Index(larger);
        Some(())
    }

    fn apply_changes(&self, slots: &mut Vec<Slot>) {
        let removed: HashSet<_> = self.removed.iter().map(Slot::key).collect();
        slots.retain(|slot| !removed.contains(&slot.key()));
        slots.extend(&self.added);
    }
}

/// Reads the files of an owner's slots: what the owner holds, and whether all slots are right.
fn verify(
    files: &AddressFiles<'_>,
    owner: &Owner,
    slots: &[Slot],
) -> Result<(Vec<Held>, bool), StateError> {
    let mut held = Vec::new();
    let mut right = true;
    for slot in slots {
        match files.find(slot.address)? {
            Found::Holding(holding) if holding.owner == *owner => held.push(Held {
                address: slot.address,
                age: holding.age,
            }),
            // Two owners may have one hash.
            Found::Holding(holding) if OwnerHash::of(&holding.owner) == slot.owner => {}
            _ => right = false,
        }
    }
    held.sort_unstable();
    Ok((held, right))
}

/// Takes back what an ADD took that did not come to its end. What is not our own writing is left alone: after our ADD was
/// killed, the Go plugin may have given the same address to the same attachment.
fn undo(files: &AddressFiles<'_>, journal: &Journal) -> Result<(), StateError> {
    for address in &journal.addresses {
        if files.is_tagged(*address)?
            && let Found::Holding(holding) = files.find(*address)?
            && Some(OwnerHash::of(&holding.owner)) == journal.owner
        {
            files.remove(*address)?;
        }
    }
    Ok(())
}
