//! Where an attachment's addresses are, so that nobody has to read every file to find out.
//!
//! The index is a hash table in a file of its own, outside the network's directory. It is derived
//! from the address files and never believed over them: who uses it reads the file of each address
//! that it names. That it lacks none is known from the directory's times: its modification time is
//! set to a random value after each operation, and both that and the change time are noted here.
//! Whoever else creates or removes a file puts the present in the place of the first, and whoever
//! then puts a noted time back changes the second; the index is rebuilt.

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

/// How long others are waited for that make another network's index in the same directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// A network's index, open.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    header: Header,
    /// Whether the file may have a journal.
    noted: bool,
}

/// What is in the place of a network's index.
#[derive(Debug)]
pub(super) enum Opened {
    Index(Index),
    /// Nothing, or something that nobody takes for an index.
    Nothing,
    /// Nobody knows: it could not be read.
    Unread(StateError),
}

/// The index cannot be used, and has to be rebuilt.
#[derive(Debug)]
pub(super) enum Unusable {
    /// A page of it is damaged, or cannot be read or written.
    Damaged,
    /// It has too little room for what is to be put into it.
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

/// A modification time that no clock shows, and that no earlier call has made.
fn random_stamp() -> Stamp {
    let random = RandomState::new().hash_one(0);
    let part = |value: u64| i64::try_from(value).unwrap_or_default();
    Stamp {
        seconds: part((random >> 32) % (1 << 30)),
        nanoseconds: part((random & 0xffff_ffff) % 1_000_000_000),
    }
}

/// The times of no directory.
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

    /// Whether it holds all that a directory with these times has, seen from this boot.
    pub(super) fn is_current(&self, stamp: DirStamp, boot: Option<BootTag>) -> bool {
        self.header.stamp == stamp
            && self.header.boot == boot_number(boot)
            && self.header.journal == Journal::default()
    }

    /// The boot's tag as the network's file system keeps it. It holds for the boot that the index
    /// is of.
    pub(super) fn kept_tag(&self) -> Stamp {
        self.header.tag
    }

    /// What the owners are hashed with.
    pub(super) fn key(&self) -> Key {
        self.header.key
    }

    /// What an ADD that did not come to its end may have taken.
    pub(super) fn journal(&self) -> &Journal {
        &self.header.journal
    }

    /// Makes a network's index with these slots. It is current only after [`Index::set_current`].
    ///
    /// `None` if it cannot be made, as on a full disk.
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
            // What nobody takes for an index may stay.
            Ok(_) | Err(StateError::NotAFile(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The slots of an owner, and maybe of others with the same hash.
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

    /// Takes slots out and puts others in.
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

    /// Notes what an ADD is about to take.
    pub(super) fn set_journal(&mut self, journal: Journal) -> Result<(), Unusable> {
        self.noted = true;
        self.header.journal = journal;
        self.write_page(0, &self.header.encode())
    }

    /// Declares that the index has all that is in the network's directory, and that no ADD is under
    /// way, by a new modification time that `set_stamp` gives to the directory.
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

    /// Clears the journal, whatever has become of the rest, so that nobody undoes what is done; the
    /// index is not current then.
    ///
    /// # Errors
    ///
    /// The file may still have the journal.
    pub(super) fn withdraw_journal(&mut self) -> io::Result<()> {
        if !self.noted {
            return Ok(());
        }
        self.header.stamp = never();
        self.header.journal = Journal::default();
        let cleared = self.file.write_all_at(&self.header.encode(), 0);
        // An empty file needs no room, not even where files are not written in place.
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
