//! What was written to a disk, in the order in which it was: the log of qemu's driver
//! `blklogwrites`, whose format is that of Linux's device mapper target `log-writes`
//! (Documentation/admin-guide/device-mapper/log-writes.rst).
//!
//! A header of one sector is followed by the entries, each a sector with four numbers of 64 bits,
//! the lowest byte first, and the data: the first sector, the number of sectors, flags, and a
//! number that is not used.

use anyhow::{Context, Result, ensure};

use super::SECTOR;

const MAGIC: u64 = 0x006a_7366_7773_6872;

const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// A command to the disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// To write this from this byte on.
    Write { offset: u64, data: &'a [u8] },
    /// To have on it all that was written before.
    Flush,
    /// That some sectors are of no interest any more.
    Discard,
}

/// The entries of a log that was cut off anywhere; `None` if it has a hole: entries are written at
/// the same time, so when the power is cut an earlier one may be missing, and nothing shows where
/// the next begins.
pub(super) fn parse(log: &[u8]) -> Result<Option<Vec<Entry<'_>>>> {
    let mut entries = Vec::new();
    let Some((header, mut rest)) = log.split_at_checked(SECTOR) else {
        return Ok(Some(entries));
    };
    let [magic, version, _, _] = numbers(header);
    ensure!(
        magic == MAGIC && version == 1,
        "the log of the disk is of no kind that is known"
    );
    while let Some((header, after)) = rest.split_at_checked(SECTOR) {
        let [sector, count, flags, _] = numbers(header);
        if (sector, count, flags) == (0, 0, 0) {
            return Ok(None);
        }
        ensure!(flags & FUA == 0, "the disk does not offer such writes");
        rest = after;
        if flags & DISCARD != 0 {
            entries.push(Entry::Discard);
            continue;
        }
        let length = usize::try_from(count)?.checked_mul(SECTOR);
        let length = length.context("an entry of the disk's log is larger than any disk")?;
        let Some((data, after)) = rest.split_at_checked(length) else {
            break;
        };
        rest = after;
        if !data.is_empty() {
            let offset = sector * SECTOR as u64;
            entries.push(Entry::Write { offset, data });
        }
        if flags & FLUSH != 0 {
            entries.push(Entry::Flush);
        }
    }
    Ok(Some(entries))
}

/// The first four numbers of a sector.
fn numbers(sector: &[u8]) -> [u64; 4] {
    let (words, _) = sector.as_chunks();
    let mut numbers = words.iter().map(|word| u64::from_le_bytes(*word));
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(numbers: [u64; 4]) -> Vec<u8> {
        let mut bytes = numbers.map(u64::to_le_bytes).concat();
        bytes.resize(SECTOR, 0);
        bytes
    }

    fn log(entries: &[([u64; 4], &[u8])]) -> Vec<u8> {
        let entries = entries.iter();
        let entries = entries.flat_map(|(header, data)| [sector(*header), data.to_vec()]);
        let header = sector([MAGIC, 1, 0, 512]);
        std::iter::once(header).chain(entries).flatten().collect()
    }

    #[test]
    fn entries_come_in_their_order() {
        let (one, two) = ([1; SECTOR], [2; 2 * SECTOR]);
        let log = log(&[
            ([7, 1, 0, 0], &one),
            ([0, 0, FLUSH, 0], &[]),
            ([9, 4, DISCARD, 0], &[]),
            ([3, 2, 0, 0], &two),
        ]);
        let write = |sector: u64, data| Entry::Write {
            offset: sector * 512,
            data,
        };
        let entries = [
            write(7, &one[..]),
            Entry::Flush,
            Entry::Discard,
            write(3, &two),
        ];
        assert_eq!(parse(&log).unwrap().unwrap(), entries);
        // What is not whole was not written.
        let cut = &log[..log.len() - 1];
        assert_eq!(parse(cut).unwrap().unwrap(), entries[..3]);
        assert_eq!(parse(&[]).unwrap().unwrap(), []);
    }

    #[test]
    fn a_hole_is_noticed() {
        let log = log(&[([0; 4], &[]), ([0, 0, FLUSH, 0], &[])]);
        assert_eq!(parse(&log).unwrap(), None);
        assert!(parse(&[1; SECTOR]).is_err());
    }
}
