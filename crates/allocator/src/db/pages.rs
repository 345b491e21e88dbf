//! How redb's file is written: each of its pages is followed by a checksum.
//!
//! redb verifies its own checksums only after a kill, and then all of them; otherwise it trusts what it reads, and a damaged page
//! makes it panic or read nonsense. Here a page that is not as it was written is an error of the storage, whichever page
//! redb comes across and whenever.
//!
//! The first page holds redb's header, and writing that is what commits. Its checksum stands right behind it, so both are
//! written at once and lie in one sector of the disk.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

use super::End;

/// The size of redb's pages.
const PAGE: usize = 4096;

/// A page and its checksum.
const STRIDE: usize = PAGE + size_of::<u64>();

/// The part of the first page that redb uses.
const HEADER: usize = 320;

type Header = [u8; HEADER];

/// A file of pages.
#[derive(Debug)]
pub(super) struct PageFile {
    file: File,
    /// What is known of the header.
    header: Mutex<Option<Box<Header>>>,
    /// Whether something was written that is not synced.
    dirty: AtomicBool,
    ended: Arc<AtomicBool>,
}

impl PageFile {
    /// A file that holds pages, or is to. Nothing is written to it after the `end`.
    pub(super) fn new(file: File, end: &End) -> Self {
        Self {
            file,
            header: Mutex::default(),
            dirty: AtomicBool::new(false),
            ended: Arc::clone(&end.0),
        }
    }

    /// A file that holds pages.
    ///
    /// Errors: [`ErrorKind::InvalidData`] if it cannot; redb would take an empty file for a new one.
    pub(super) fn open(file: File, end: &End) -> Result<Self, redb::StorageError> {
        let pages = Self::new(file, end);
        match pages.len()? {
            0 => Err(damaged("the file is empty").into()),
            _ => Ok(pages),
        }
    }

    fn read_header(&self) -> io::Result<Header> {
        let mut known = self.header.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(header) = known.as_deref() {
            return Ok(*header);
        }
        let mut stored = [0; HEADER + size_of::<u64>()];
        self.file.read_exact_at(&mut stored, 0)?;
        match stored.split_first_chunk() {
            Some((header, sum)) if sum == checksum(0, header) => {
                *known = Some(Box::new(*header));
                Ok(*header)
            }
            _ => Err(damaged("its header is not as it was written")),
        }
    }

    fn write_header(&self, header: &Header) -> io::Result<()> {
        let mut known = self.header.lock().unwrap_or_else(PoisonError::into_inner);
        // redb notes in the header that it has the file open, and here it always has.
        if known.as_deref() == Some(header) {
            return Ok(());
        }
        self.change()?;
        *known = None;
        let stored = [header.as_slice(), &checksum(0, header)].concat();
        self.file.write_all_at(&stored, 0)?;
        *known = Some(Box::new(*header));
        Ok(())
    }

    fn change(&self) -> io::Result<()> {
        if self.ended.load(Ordering::Acquire) {
            return Err(io::Error::other("the transaction has ended"));
        }
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }
}

impl StorageBackend for PageFile {
    fn len(&self) -> io::Result<u64> {
        let stored = self.file.metadata()?.len();
        if stored.is_multiple_of(STRIDE as u64) {
            Ok(stored / STRIDE as u64 * PAGE as u64)
        } else {
            Err(damaged("it ends in the middle of a page"))
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset == 0
            && let Some(start) = self.read_header()?.get(..out.len())
        {
            out.copy_from_slice(start);
            return Ok(());
        }
        let first = first_page(offset, out.len())?;
        let mut stored = vec![0; out.len() / PAGE * STRIDE];
        self.file
            .read_exact_at(&mut stored, first * STRIDE as u64)?;
        let pages = stored.chunks_exact(STRIDE).zip(out.chunks_exact_mut(PAGE));
        for (number, (stored, out)) in (first..).zip(pages) {
            let (page, sum) = stored.split_at(PAGE);
            if sum != checksum(number, page) {
                return Err(damaged(&format!("page {number} is not as it was written")));
            }
            out.copy_from_slice(page);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let (0, Ok(header)) = (offset, data.try_into()) {
            return self.write_header(header);
        }
        self.change()?;
        let first = first_page(offset, data.len())?;
        let mut stored = Vec::with_capacity(data.len() / PAGE * STRIDE);
        for (number, page) in (first..).zip(data.chunks_exact(PAGE)) {
            stored.extend(page);
            stored.extend(checksum(number, page));
        }
        self.file.write_all_at(&stored, first * STRIDE as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change()?;
        self.file.set_len(len / PAGE as u64 * STRIDE as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.dirty.load(Ordering::Acquire) {
            self.file.sync_data()?;
            self.dirty.store(false, Ordering::Release);
        }
        Ok(())
    }
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

/// The number of the first of some pages after the header's.
fn first_page(offset: u64, len: usize) -> io::Result<u64> {
    let page = PAGE as u64;
    if offset >= page && offset.is_multiple_of(page) && len.is_multiple_of(PAGE) {
        Ok(offset / page)
    } else {
        Err(ErrorKind::Unsupported.into())
    }
}

/// Tells pages from others and from themselves at another place. Each step maps different values to different ones, so
/// a change within eight bytes is always seen, and any other but once in 2^64 times.
fn checksum(number: u64, page: &[u8]) -> [u8; 8] {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, _) = page.as_chunks();
    let sum = words.iter().fold(!number, |sum, word| {
        (sum ^ u64::from_le_bytes(*word))
            .wrapping_mul(FACTOR)
            .rotate_left(29)
    });
    (sum ^ (sum >> 32)).to_le_bytes()
}
