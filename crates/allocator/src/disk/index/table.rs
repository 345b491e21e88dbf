//! The bucket of a slot: the one that the owner's hash selects, or a later one if that is full. A
//! full bucket costs a lookup one more page.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Unusable;
use super::page::{Bucket, OwnerHash, SLOTS, Slot};

/// The number of buckets of the smallest index: 64 KiB, enough for more than a thousand addresses.
const MIN_BUCKETS: u32 = 16;

/// The largest distance of a slot from its own bucket. Beyond it, the index is rebuilt, with more
/// buckets if it is rather full.
const LONGEST_CHAIN: usize = 8;

/// The buckets that may contain an owner's slots, in order. A later one does only if the one before
/// it has spilled.
pub(super) fn chain(owner: OwnerHash, buckets: u32) -> impl Iterator<Item = u32> {
    // A power of two divides the range of hashes evenly.
    let first = u32::try_from(owner.0 % u64::from(buckets)).unwrap_or_default();
    (first..buckets).chain(0..first)
}

/// All buckets of an index that is being built.
pub(super) struct Table(Vec<Bucket>);

impl Table {
    /// `None` if there are too many slots for any table.
    pub(super) fn of(slots: &[Slot]) -> Option<Self> {
        let count = buckets_for(slots.len())?;
        let mut table = Self(vec![Bucket::default(); count as usize]);
        for slot in slots {
            table.put_in(*slot, count);
        }
        Some(table)
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = (u32, &Bucket)> {
        (0..).zip(&self.0)
    }

    /// Adds a slot. There is always room, because at most half of all slots are in use.
    fn put_in(&mut self, slot: Slot, count: u32) {
        for number in chain(slot.owner, count) {
            if let Some(bucket) = self.0.get_mut(number as usize) {
                if bucket.slots.len() < SLOTS {
                    bucket.slots.push(slot);
                    return;
                }
                bucket.spilled = true;
            }
        }
    }
}

/// The smallest number of buckets that are at most half full on average; `None` if there are too
/// many slots.
fn buckets_for(slots: usize) -> Option<u32> {
    let buckets = (2 * slots).div_ceil(SLOTS).next_power_of_two();
    Some(u32::try_from(buckets).ok()?.max(MIN_BUCKETS))
}

/// The buckets of an index that a change affects, read from disk when they are needed.
pub(super) struct Cached<R> {
    buckets: u32,
    read: R,
    /// Each with whether it has changed.
    cached: BTreeMap<u32, (Bucket, bool)>,
}

impl<R: Fn(u32) -> Result<Bucket, Unusable>> Cached<R> {
    pub(super) fn new(buckets: u32, read: R) -> Self {
        Self {
            buckets,
            read,
            cached: BTreeMap::new(),
        }
    }

    pub(super) fn take_out(&mut self, slot: &Slot) -> Result<(), Unusable> {
        for number in chain(slot.owner, self.buckets) {
            let (bucket, changed) = self.bucket(number)?;
            let before = bucket.slots.len();
            bucket.slots.retain(|other| other.key() != slot.key());
            if bucket.slots.len() < before {
                *changed = true;
                break;
            }
            if !bucket.spilled {
                break;
            }
        }
        Ok(())
    }

    /// # Errors
    /// [`Unusable::Full`] if the slot would be too far from its own bucket.
    pub(super) fn put_in(&mut self, slot: &Slot) -> Result<(), Unusable> {
        for number in chain(slot.owner, self.buckets).take(LONGEST_CHAIN) {
            let (bucket, changed) = self.bucket(number)?;
            *changed = true;
            if bucket.slots.len() < SLOTS {
                bucket.slots.push(*slot);
                return Ok(());
            }
            bucket.spilled = true;
        }
        Err(Unusable::Full)
    }

    pub(super) fn changed(&self) -> impl Iterator<Item = (u32, &Bucket)> {
        let changed = self.cached.iter().filter(|(_, (_, changed))| *changed);
        changed.map(|(number, (bucket, _))| (*number, bucket))
    }

    fn bucket(&mut self, number: u32) -> Result<&mut (Bucket, bool), Unusable> {
        Ok(match self.cached.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(((self.read)(number)?, false)),
        })
    }
}
