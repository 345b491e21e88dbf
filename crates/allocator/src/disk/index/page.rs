//! The index's pages as bytes.
//!
//! A file is one header page and a power of two of bucket pages, 4096 bytes each. Every page starts
//! with a checksum over the rest of it and its own number, so a reader detects a page that is
//! damaged, or in another's place.
//!
//! ```text
//! header   checksum 8, magic 8, key 16, buckets 4, boot seconds 8, tag 16, modified 16,
//!          changed 16, journal: owner hash 8, count 1, address × count
//! bucket   checksum 8, count 1, spilled 1, padding 6, slot × 127
//! slot     owner hash 8, address 17, earlier boot 1, padding 6
//! address  4 or 6, 16 bytes (IPv4 in the last four)
//! ```
//!
//! Numbers are little-endian. Times are seconds and nanoseconds, 8 bytes each.

use std::net::IpAddr;

use cni_types::ValidAttachments;
use state::{DirStamp, Stamp, checksum, keyed_hash};

use crate::{Age, Owner, RangeSets, owner};

pub(super) const PAGE: usize = 4096;
pub(super) type Page = [u8; PAGE];

/// The number of slots of a bucket.
pub(super) const SLOTS: usize = 127;

const MAGIC: u64 = u64::from_le_bytes(*b"twillix3");
const SLOT: usize = 32;
const ADDRESS: usize = 17;

const _: () = assert!(16 + SLOTS * SLOT <= PAGE);
const _: () = assert!(101 + RangeSets::MAX * ADDRESS <= PAGE);

/// The hash of an owner, by which the index finds the owner's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::disk) struct OwnerHash(pub(in crate::disk) u64);

/// The key of an index's hashes. It is random, so that nobody can choose container IDs that fill
/// one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::disk) struct Key(pub(in crate::disk) u64, pub(in crate::disk) u64);

impl Key {
    pub(in crate::disk) fn hash(self, owner: &Owner) -> OwnerHash {
        self.hash_text(&owner.to_string())
    }

    /// The hashes of all valid owners, in ascending order: each attachment, and each container
    /// without an interface.
    pub(in crate::disk) fn hashes_of(self, valid: &ValidAttachments) -> Vec<OwnerHash> {
        let texts = valid.iter().flat_map(|valid| {
            let container_id = &valid.container_id;
            [
                owner::text(container_id, &valid.ifname),
                container_id.clone(),
            ]
        });
        let mut hashes: Vec<_> = texts.map(|text| self.hash_text(&text)).collect();
        hashes.sort_unstable();
        hashes
    }

    fn hash_text(self, owner: &str) -> OwnerHash {
        OwnerHash(keyed_hash((self.0, self.1), owner.as_bytes()))
    }
}

/// An address in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::disk) struct Slot {
    pub(in crate::disk) owner: OwnerHash,
    pub(in crate::disk) address: IpAddr,
    pub(in crate::disk) age: Age,
}

impl Slot {
    /// What identifies the slot.
    pub(in crate::disk) fn key(&self) -> (OwnerHash, IpAddr) {
        (self.owner, self.address)
    }
}

/// The addresses that an unfinished ADD takes. Whoever finds a journal rolls the ADD back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::disk) struct Journal {
    pub(in crate::disk) owner: Option<OwnerHash>,
    pub(in crate::disk) addresses: Vec<IpAddr>,
}

/// The first page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key: Key,
    /// A power of two.
    pub(super) buckets: u32,
    /// The seconds of the tag of the boot that the slots' ages refer to; -1 if it is unknown.
    pub(super) boot: i64,
    /// The modification time of files with this tag, rounded by the file system.
    pub(super) tag: Stamp,
    /// The directory's times after the last operation.
    pub(super) stamp: DirStamp,
    pub(super) journal: Journal,
}

impl Header {
    pub(super) fn encode(&self) -> Page {
        let mut page = [0; PAGE];
        let mut writer = Writer(page.get_mut(8..).unwrap_or_default());
        writer.put(&MAGIC.to_le_bytes());
        writer.put(&self.key.0.to_le_bytes());
        writer.put(&self.key.1.to_le_bytes());
        writer.put(&self.buckets.to_le_bytes());
        writer.put(&self.boot.to_le_bytes());
        for stamp in [self.tag, self.stamp.modified, self.stamp.changed] {
            writer.put(&stamp.seconds.to_le_bytes());
            writer.put(&stamp.nanoseconds.to_le_bytes());
        }
        let owner = self.journal.owner.unwrap_or(OwnerHash(0));
        writer.put(&owner.0.to_le_bytes());
        // An attachment has at most one address per range set.
        let count = u8::try_from(self.journal.addresses.len()).unwrap_or(u8::MAX);
        writer.put(&[if self.journal.owner.is_some() {
            count
        } else {
            0
        }]);
        for address in &self.journal.addresses {
            writer.put_address(*address);
        }
        seal(&mut page, 0);
        page
    }

    pub(super) fn decode(page: &Page) -> Option<Self> {
        let mut reader = unseal(page, 0)?;
        if reader.u64()? != MAGIC {
            return None;
        }
        let header = Self {
            key: Key(reader.u64()?, reader.u64()?),
            buckets: u32::from_le_bytes(reader.take()?),
            boot: i64::from_le_bytes(reader.take()?),
            tag: reader.stamp()?,
            stamp: DirStamp {
                modified: reader.stamp()?,
                changed: reader.stamp()?,
            },
            journal: {
                let owner = OwnerHash(reader.u64()?);
                let [count] = reader.take()?;
                Journal {
                    owner: (count > 0).then_some(owner),
                    addresses: (0..count)
                        .map(|_| reader.address())
                        .collect::<Option<_>>()?,
                }
            },
        };
        header.buckets.is_power_of_two().then_some(header)
    }
}

/// A page of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) slots: Vec<Slot>,
    /// Whether slots of this bucket are in the next one, because this one was full.
    pub(super) spilled: bool,
}

impl Bucket {
    /// Encodes the bucket with this index.
    pub(super) fn encode(&self, number: u32) -> Page {
        let mut page = [0; PAGE];
        let mut writer = Writer(page.get_mut(8..).unwrap_or_default());
        let count = u8::try_from(self.slots.len()).unwrap_or(u8::MAX);
        writer.put(&[count, u8::from(self.spilled), 0, 0, 0, 0, 0, 0]);
        for slot in &self.slots {
            writer.put(&slot.owner.0.to_le_bytes());
            writer.put_address(slot.address);
            writer.put(&[u8::from(slot.age == Age::EarlierBoot), 0, 0, 0, 0, 0, 0]);
        }
        seal(&mut page, u64::from(number) + 1);
        page
    }

    /// `None` if the page is damaged.
    pub(super) fn decode(page: &Page, number: u32) -> Option<Self> {
        let mut reader = unseal(page, u64::from(number) + 1)?;
        let [count, spilled, ..] = reader.take::<8>()?;
        let slots = (0..count).map(|_| {
            let owner = OwnerHash(reader.u64()?);
            let address = reader.address()?;
            let [earlier, ..] = reader.take::<7>()?;
            let age = if earlier == 0 {
                Age::ThisBoot
            } else {
                Age::EarlierBoot
            };
            Some(Slot {
                owner,
                address,
                age,
            })
        });
        Some(Self {
            slots: slots.collect::<Option<_>>()?,
            spilled: spilled != 0,
        })
    }
}

fn seal(page: &mut Page, number: u64) {
    if let Some((sum, contents)) = page.split_first_chunk_mut::<8>() {
        *sum = checksum(number ^ MAGIC, contents).to_le_bytes();
    }
}

fn unseal(page: &Page, number: u64) -> Option<Reader<'_>> {
    let (sum, contents) = page.split_first_chunk::<8>()?;
    let is_intact = u64::from_le_bytes(*sum) == checksum(number ^ MAGIC, contents);
    is_intact.then_some(Reader(contents))
}

/// Writes values one after another. Drops what does not fit, which the sizes above rule out.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.0);
        if let Some((head, tail)) = rest.split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = tail;
        }
    }

    fn put_address(&mut self, address: IpAddr) {
        let mut bytes = [0; ADDRESS];
        let (family, octets) = match address {
            IpAddr::V4(v4) => (4, v4.to_ipv6_compatible().octets()),
            IpAddr::V6(v6) => (6, v6.octets()),
        };
        if let Some((first, rest)) = bytes.split_first_mut() {
            *first = family;
            rest.copy_from_slice(&octets);
        }
        self.put(&bytes);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn stamp(&mut self) -> Option<Stamp> {
        Some(Stamp {
            seconds: i64::from_le_bytes(self.take()?),
            nanoseconds: i64::from_le_bytes(self.take()?),
        })
    }

    fn address(&mut self) -> Option<IpAddr> {
        let [family] = self.take()?;
        let octets: [u8; 16] = self.take()?;
        match family {
            4 => octets.last_chunk::<4>().map(|octets| (*octets).into()),
            6 => Some(octets.into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots() -> impl Strategy<Value = Vec<Slot>> {
        let slot = (any::<u64>(), any::<IpAddr>(), any::<bool>());
        let slot = slot.prop_map(|(owner, address, earlier)| Slot {
            owner: OwnerHash(owner),
            address,
            age: if earlier {
                Age::EarlierBoot
            } else {
                Age::ThisBoot
            },
        });
        prop::collection::vec(slot, 0..=SLOTS)
    }

    proptest! {
        #[test]
        fn a_bucket_is_read_back_at_its_own_index_only(
            slots in slots(),
            spilled in any::<bool>(),
            number in 0u32..99,
        ) {
            let bucket = Bucket { slots, spilled };
            let page = bucket.encode(number);
            prop_assert_eq!(Bucket::decode(&page, number + 1), None);
            prop_assert_eq!(Bucket::decode(&page, number), Some(bucket));
            prop_assert_eq!(Header::decode(&page), None);
        }

        #[test]
        fn a_header_is_read_back(
            power in 0u32..20,
            seconds in any::<i64>(),
            addresses in prop::collection::vec(any::<IpAddr>(), 0..=RangeSets::MAX),
        ) {
            let stamp = |nanoseconds| Stamp { seconds, nanoseconds };
            let header = Header {
                key: Key(1, u64::MAX),
                buckets: 1 << power,
                boot: -1,
                tag: stamp(0),
                stamp: DirStamp { modified: stamp(1), changed: stamp(999_999_999) },
                journal: Journal {
                    owner: (!addresses.is_empty()).then_some(OwnerHash(7)),
                    addresses,
                },
            };
            prop_assert_eq!(Header::decode(&header.encode()), Some(header));
        }

        #[test]
        fn a_damaged_page_is_refused(slots in slots(), at in 0..PAGE, flip in 1u8..) {
            let mut page = Bucket { slots, spilled: false }.encode(0);
            page[at] ^= flip;
            prop_assert_eq!(Bucket::decode(&page, 0), None);
        }
    }

    /// A header and a bucket as an x86-64 machine has written them. `TWILL_BLESS=1` writes them
    /// anew.
    const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/formats/index");

    /// Words in the machine's byte order or of its width would differ on another platform.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a setting of the test")]
    fn pages_are_the_same_on_every_platform() {
        let key = Key(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        let owner = key.hash(&Owner::parse(b"c1\r\neth0").unwrap());
        let stamp = |seconds, nanoseconds| Stamp {
            seconds,
            nanoseconds,
        };
        let addresses: Vec<IpAddr> = ["10.1.1.2", "fd00:1::2"]
            .map(|it| it.parse().unwrap())
            .into();
        let header = Header {
            key,
            buckets: 8,
            boot: 0x1122_3344_5566_7788,
            tag: stamp(1_000_000_000, 7457),
            stamp: DirStamp {
                modified: stamp(1_072_915_199, 999_999_999),
                changed: stamp(5_000_000_000, 1),
            },
            journal: Journal {
                owner: Some(owner),
                addresses: addresses.clone(),
            },
        };
        let slots = addresses.iter().map(|address| Slot {
            owner,
            address: *address,
            age: Age::EarlierBoot,
        });
        let bucket = Bucket {
            slots: slots.collect(),
            spilled: true,
        };
        let written = [header.encode(), bucket.encode(5)].concat();
        if std::env::var_os("TWILL_BLESS").is_some() {
            std::fs::write(FIXTURE, &written).unwrap();
        }
        let fixture = std::fs::read(FIXTURE).unwrap();
        assert!(written == fixture);
        let (first, second) = fixture.split_at(PAGE);
        assert_eq!(Header::decode(first.try_into().unwrap()), Some(header));
        assert_eq!(Bucket::decode(second.try_into().unwrap(), 5), Some(bucket));
    }

    #[test]
    fn a_page_of_zeros_is_refused() {
        assert_eq!(Header::decode(&[0; PAGE]), None);
        assert_eq!(Bucket::decode(&[0; PAGE], 0), None);
    }
}
