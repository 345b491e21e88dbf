//! The index: which addresses an attachment holds, without reading every file.
//!
//! The index is a hash table in a file of its own, outside the network's directory. It is derived
//! from the address files, which win over it: each address that it names is read in its file. The
//! directory's times show that the index lacks no address. After each operation the modification
//! time is set to a random value, and the index records that and the change time. Whoever else
//! creates or removes a file sets the modification time to the present, and whoever restores it
//! changes the change time; then the index is rebuilt.

mod page;
mod table;

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use state::{Action, Dir, DirStamp, Stamp, StateError};

use self::page::{Bucket, Header, PAGE, Page};
pub(super) use self::page::{Journal, Key, OwnerHash, Slot};
use self::table::{Cached, Table};
use super::boot_tag::BootTag;

/// The timeout for others that write another network's index in the same directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The open index of a network.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    header: Header,
    /// Whether the file may contain a journal.
    noted: bool,
}

/// The file that has the name of a network's index.
#[derive(Debug)]
pub(super) enum Opened {
    Index(Index),
    /// Nothing, or something that is no index.
    Nothing,
    /// Something that cannot be read, and may be an index.
    Unread(StateError),
}

/// Why the index cannot be used and must be rebuilt.
#[derive(Debug)]
pub(super) enum Unusable {
    /// A page is damaged, or cannot be read or written.
    Damaged,
    /// The new slots do not fit.
    Full,
}

impl From<io::Error> for Unusable {
    fn from(_: io::Error) -> Self {
        Unusable::Damaged
    }
}

impl Key {
    pub(super) fn random() -> Self {
        let random = RandomState::new();
        Self(random.hash_one(0), random.hash_one(1))
    }
}

/// A random modification time in the past, which neither a clock nor an earlier call has set.
fn random_stamp() -> Stamp {
    let random = RandomState::new().hash_one(0);
    let part = |value: u64| i64::try_from(value).unwrap_or_default();
    Stamp {
        seconds: part((random >> 32) % (1 << 30)),
        nanoseconds: part((random & 0xffff_ffff) % 1_000_000_000),
    }
}

/// Times that no directory has.
fn never() -> DirStamp {
    DirStamp {
        modified: random_stamp(),
        changed: random_stamp(),
    }
}

impl Index {
    /// Opens a network's index.
    pub(super) fn open(directory: &Dir, network: &str) -> Opened {
        let file = match directory.open_in_place(network) {
            Ok(Some(file)) => file,
            Ok(None) | Err(StateError::NotAFile(_)) => return Opened::Nothing,
            Err(error) => return Opened::Unread(error),
        };
        let mut page = [0; PAGE];
        match file.read_exact_at(&mut page, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Opened::Nothing,
            Err(source) => {
                return Opened::Unread(StateError::Io {
                    action: Action::Read,
                    path: directory.path().join(network),
                    source,
                });
            }
        }
        match Header::decode(&page) {
            Some(header) => Opened::Index(Self {
                file,
                noted: header.journal != Journal::default(),
                header,
            }),
            None => Opened::Nothing,
        }
    }

    /// Whether the index has all addresses of a directory with these times, and their ages as seen
    /// from this boot.
    pub(super) fn is_current(&self, stamp: DirStamp, boot: Option<BootTag>) -> bool {
        self.header.stamp == stamp
            && self.header.boot == boot_number(boot)
            && self.header.journal == Journal::default()
    }

    /// Whether no operation has changed the index between its two openings.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.header.stamp == other.header.stamp && self.header.key == other.header.key
    }

    /// Whether the index was built or last used in this boot.
    pub(super) fn is_of(&self, boot: BootTag) -> bool {
        self.header.boot == boot_number(Some(boot))
    }

    /// The tag of the index's boot, as the network's file system rounds it.
    pub(super) fn kept_tag(&self) -> Stamp {
        self.header.tag
    }

    /// The key of the owners' hashes.
    pub(super) fn key(&self) -> Key {
        self.header.key
    }

    /// The addresses that a killed ADD may have taken.
    pub(super) fn journal(&self) -> &Journal {
        &self.header.journal
    }

    /// Builds a network's index with these slots; `None` if it cannot be written, as on a full
    /// disk. The index becomes current with [`Index::set_current`].
    pub(super) fn build(
        directory: &Dir,
        network: &str,
        slots: &[Slot],
        key: Key,
        boot: Option<BootTag>,
    ) -> Option<Self> {
        let table = Table::of(slots)?;
        let header = Header {
            key,
            buckets: table.len(),
            boot: boot_number(boot),
            tag: boot.map_or_else(random_stamp, BootTag::kept),
            stamp: never(),
            journal: Journal::default(),
        };
        let guard = directory.lock_whole(LOCK_TIMEOUT).ok()?;
        let written = guard.replace_with(network, |file| {
            let mut writer = BufWriter::with_capacity(16 * PAGE, file);
            writer.write_all(&header.encode())?;
            for (number, bucket) in table.buckets() {
                writer.write_all(&bucket.encode(number))?;
            }
            writer.flush()
        });
        written.ok()?;
        match Self::open(directory, network) {
            Opened::Index(index) => Some(index),
            Opened::Nothing | Opened::Unread(_) => None,
        }
    }

    /// Removes a network's index.
    pub(super) fn remove(directory: &Dir, network: &str) -> Result<(), StateError> {
        match directory.lock_whole(LOCK_TIMEOUT)?.remove(network) {
            // Something that is no index may stay.
            Ok(_) | Err(StateError::NotAFile(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The slots of an owner, and of any other owner with the same hash.
    pub(super) fn find(&self, owner: OwnerHash) -> Result<Vec<Slot>, Unusable> {
        let mut found = Vec::new();
        for number in table::chain(owner, self.header.buckets) {
            let bucket = self.read_bucket(number)?;
            let own = bucket.slots.iter().filter(|slot| slot.owner == owner);
            found.extend(own.copied());
            if !bucket.spilled {
                break;
            }
        }
        Ok(found)
    }

    /// All slots.
    pub(super) fn all(&self) -> Result<Vec<Slot>, Unusable> {
        let mut slots = Vec::new();
        for number in 0..self.header.buckets {
            slots.append(&mut self.read_bucket(number)?.slots);
        }
        Ok(slots)
    }

    /// Removes and adds slots.
    pub(super) fn change(&self, removed: &[Slot], added: &[Slot]) -> Result<(), Unusable> {
        let mut cached = Cached::new(self.header.buckets, |number| self.read_bucket(number));
        for slot in removed {
            cached.take_out(slot)?;
        }
        for slot in added {
            cached.put_in(slot)?;
        }
        for (number, bucket) in cached.changed() {
            self.write_page(number + 1, &bucket.encode(number))?;
        }
        Ok(())
    }

    /// Records the addresses that an ADD is about to take.
    pub(super) fn set_journal(&mut self, journal: Journal) -> Result<(), Unusable> {
        self.noted = true;
        self.header.journal = journal;
        self.write_page(0, &self.header.encode())
    }

    /// Marks the index as current and clears the journal. `set_stamp` gives the network's directory
    /// a new modification time, which the index records.
    pub(super) fn set_current(
        &mut self,
        set_stamp: impl FnOnce(Stamp) -> Result<DirStamp, StateError>,
    ) -> Result<(), Unusable> {
        self.header.stamp = set_stamp(random_stamp()).map_err(|_| Unusable::Damaged)?;
        self.header.journal = Journal::default();
        self.write_page(0, &self.header.encode())?;
        self.noted = false;
        Ok(())
    }

    /// Clears the journal, whatever the state of the buckets, so that no operation rolls back an
    /// ADD that has succeeded. The index is not current afterwards.
    ///
    /// # Errors
    /// [`io::Error`] if the file may still contain the journal.
    pub(super) fn withdraw_journal(&mut self) -> io::Result<()> {
        if !self.noted {
            return Ok(());
        }
        self.header.stamp = never();
        self.header.journal = Journal::default();
        let cleared = self.file.write_all_at(&self.header.encode(), 0);
        // An empty file needs no room, even on a file system that never writes in place.
        cleared.or_else(|_| self.file.set_len(0))?;
        self.noted = false;
        Ok(())
    }

    fn read_bucket(&self, bucket: u32) -> Result<Bucket, Unusable> {
        let mut page = [0; PAGE];
        self.file.read_exact_at(&mut page, offset(bucket + 1))?;
        Bucket::decode(&page, bucket).ok_or(Unusable::Damaged)
    }

    fn write_page(&self, number: u32, page: &Page) -> Result<(), Unusable> {
        Ok(self.file.write_all_at(page, offset(number))?)
    }
}

fn offset(page: u32) -> u64 {
    u64::from(page) * PAGE as u64
}

fn boot_number(boot: Option<BootTag>) -> i64 {
    boot.map_or(-1, |boot| boot.set().seconds)
}

#[cfg(test)]
mod tests;
