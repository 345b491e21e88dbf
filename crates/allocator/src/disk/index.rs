//! Where an attachment's addresses are, so that nobody has to read every file to find out.
//!
//! The index is a hash table in a file of its own, outside the network's folder. It is derived from the address files and
//! never believed over them: who uses it reads the file of each address that it names. That it lacks none is known from the folder's
//! modification time, which is set to a random value after each operation and noted here; whoever else creates or removes a file
//! puts the present in its place, and the index is made anew.

mod page;

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use state::{Dir, Stamp, StateError, stable_hash};

use self::page::{Header, PAGE, Page, SLOTS};
pub(super) use self::page::{Journal, OwnerHash, Slot};
use super::boot_tag::BootTag;
use crate::Owner;

/// How long others are waited for that make another network's index in the same folder.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How many buckets the smallest index has: 64 KiB, enough for more than a thousand addresses.
const MIN_BUCKETS: u32 = 16;

/// A network's index, open.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    header: Header,
}

/// The index cannot be used, and has to be made anew.
#[derive(Debug)]
pub(super) enum Unusable {
    /// A page of it is damaged, or cannot be read or written.
    Damaged,
    /// A bucket has no room for what is to be put into it.
    Full,
}

impl From<io::Error> for Unusable {
    fn from(_: io::Error) -> Self {
        Unusable::Damaged
    }
}

impl OwnerHash {
    pub(super) fn of(owner: &Owner) -> Self {
        Self(stable_hash(owner.to_string().as_bytes()))
    }

    fn bucket(self, buckets: u32) -> u32 {
        // A power of two divides the range of hashes evenly.
        u32::try_from(self.0 % u64::from(buckets)).unwrap_or_default()
    }
}

/// A modification time that no clock shows, and that no earlier call has made.
fn random_stamp() -> Stamp {
    let random = RandomState::new().hash_one(0);
    let part = |value: u64| i64::try_from(value).unwrap_or_default();
    Stamp {
        seconds: part((random >> 32) % (1 << 30)),
        nanoseconds: part((random & 0xffff_ffff) % 1_000_000_000),
    }
}

impl Index {
    /// Opens a network's index; `None` if there is none, or nothing in it makes sense.
    pub(super) fn open(folder: &Dir, network: &str) -> Option<Self> {
        let file = folder.open_in_place(network).ok()??;
        let mut page = [0; PAGE];
        file.read_exact_at(&mut page, 0).ok()?;
        let header = Header::decode(&page)?;
        Some(Self { file, header })
    }

    /// Whether it holds all that a folder with this modification time has, seen from this boot.
    pub(super) fn is_current(&self, stamp: Stamp, boot: Option<BootTag>) -> bool {
        self.header.stamp == stamp
            && self.header.boot == boot_number(boot)
            && self.header.journal == Journal::default()
    }

    /// What an ADD that did not come to its end may have taken.
    pub(super) fn journal(&self) -> &Journal {
        &self.header.journal
    }

    /// Makes a network's index with these slots. It is current only after [`Index::set_current`].
    ///
    /// `None` if it cannot be made: the disk is full, or one owner has more addresses than a bucket has room for.
    pub(super) fn build(
        folder: &Dir,
        network: &str,
        slots: &mut [Slot],
        boot: Option<BootTag>,
    ) -> Option<Self> {
        let buckets = buckets_for(slots)?;
        slots.sort_unstable_by_key(|slot| slot.owner.bucket(buckets));
        let header = Header {
            buckets,
            boot: boot_number(boot),
            stamp: random_stamp(),
            journal: Journal::default(),
        };
        let guard = folder.lock_whole(LOCK_PATIENCE).ok()?;
        let written = guard.replace_with(network, |file| {
            let mut writer = BufWriter::with_capacity(16 * PAGE, file);
            writer.write_all(&header.encode())?;
            let mut rest = &slots[..];
            for bucket in 0..buckets {
                let others = rest.partition_point(|slot| slot.owner.bucket(buckets) <= bucket);
                let (own, others) = rest.split_at(others);
                writer.write_all(&page::encode_bucket(own, bucket))?;
                rest = others;
            }
            writer.flush()
        });
        written.ok()?;
        Self::open(folder, network)
    }

    /// The slots of an owner, and maybe of others with the same hash.
    pub(super) fn find(&self, owner: OwnerHash) -> Result<Vec<Slot>, Unusable> {
        let mut slots = self.read_bucket(owner.bucket(self.header.buckets))?;
        slots.retain(|slot| slot.owner == owner);
        Ok(slots)
    }

    /// All slots.
    pub(super) fn all(&self) -> Result<Vec<Slot>, Unusable> {
        let mut slots = Vec::new();
        for bucket in 0..self.header.buckets {
            slots.append(&mut self.read_bucket(bucket)?);
        }
        Ok(slots)
    }

    /// Takes slots out and puts others in.
    pub(super) fn change(&self, removed: &[Slot], added: &[Slot]) -> Result<(), Unusable> {
        let bucket_of = |slot: &Slot| slot.owner.bucket(self.header.buckets);
        let mut buckets: Vec<u32> = removed.iter().chain(added).map(bucket_of).collect();
        buckets.sort_unstable();
        buckets.dedup();
        for bucket in buckets {
            let mut slots = self.read_bucket(bucket)?;
            let removed = removed.iter().filter(|slot| bucket_of(slot) == bucket);
            let removed: HashSet<_> = removed.map(Slot::key).collect();
            slots.retain(|slot| !removed.contains(&slot.key()));
            slots.extend(added.iter().filter(|slot| bucket_of(slot) == bucket));
            if slots.len() > SLOTS {
                return Err(Unusable::Full);
            }
            self.write_page(bucket + 1, &page::encode_bucket(&slots, bucket))?;
        }
        Ok(())
    }

    /// Notes what an ADD is about to take.
    pub(super) fn set_journal(&mut self, journal: Journal) -> Result<(), Unusable> {
        self.header.journal = journal;
        self.write_page(0, &self.header.encode())
    }

    /// Declares that the index has all that is in the network's folder, by a new modification time that `set_stamp` gives to the
    /// folder.
    pub(super) fn set_current(
        &mut self,
        set_stamp: impl FnOnce(Stamp) -> Result<Stamp, StateError>,
    ) -> Result<(), Unusable> {
        self.header.stamp = set_stamp(random_stamp()).map_err(|_| Unusable::Damaged)?;
        self.header.journal = Journal::default();
        self.write_page(0, &self.header.encode())
    }

    fn read_bucket(&self, bucket: u32) -> Result<Vec<Slot>, Unusable> {
        let mut page = [0; PAGE];
        self.file.read_exact_at(&mut page, offset(bucket + 1))?;
        page::decode_bucket(&page, bucket).ok_or(Unusable::Damaged)
    }

    fn write_page(&self, number: u32, page: &Page) -> Result<(), Unusable> {
        Ok(self.file.write_all_at(page, offset(number))?)
    }
}

fn offset(page: u32) -> u64 {
    u64::from(page) * PAGE as u64
}

fn boot_number(boot: Option<BootTag>) -> i64 {
    boot.map_or(-1, |boot| boot.stamp().seconds)
}

/// The smallest number of buckets that are at most half full on average and none of them too full. More buckets than there are
/// slots would not help any more.
fn buckets_for(slots: &[Slot]) -> Option<u32> {
    let most = u32::try_from(slots.len().next_power_of_two()).ok()?;
    let mut buckets = MIN_BUCKETS;
    loop {
        let mut counts = vec![0usize; buckets as usize];
        for slot in slots {
            if let Some(count) = counts.get_mut(slot.owner.bucket(buckets) as usize) {
                *count += 1;
            }
        }
        let half_full = slots.len() <= buckets as usize * SLOTS / 2;
        if half_full && counts.into_iter().all(|count| count <= SLOTS) {
            return Some(buckets);
        }
        if buckets >= most {
            return None;
        }
        buckets *= 2;
    }
}

#[cfg(test)]
mod tests;
