//! redb's storage: a file in which a checksum follows each page.
//!
//! redb verifies its own checksums only after a kill, and then all of them. Otherwise it trusts
//! what it reads, and a damaged page makes it panic or return wrong values. Here, reading a damaged
//! page is an I/O error, whenever redb reads it.
//!
//! The first page holds redb's header, whose writing is what commits. The header's checksum follows
//! it directly, so one write within one sector of the disk changes both.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

/// The size of redb's pages.
pub(super) const PAGE: usize = 4096;

/// A page and its checksum.
const STRIDE: usize = PAGE + size_of::<u64>();

/// The part of the first page that redb uses.
const HEADER: usize = 320;

type Header = [u8; HEADER];

/// A file of pages. Clones refer to the same file.
#[derive(Clone, Debug)]
pub(super) struct PageFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    /// The header, once it has been read.
    header: Mutex<Option<Box<Header>>>,
    /// Whether the file has unsynced writes.
    dirty: AtomicBool,
    /// Whether the file was written to.
    changed: AtomicBool,
    /// Whether a write has failed.
    failed: AtomicBool,
    ended: AtomicBool,
}

impl PageFile {
    /// A file that holds pages, or will.
    pub(super) fn new(file: File) -> Self {
        Self(Arc::new(Inner {
            file,
            header: Mutex::default(),
            dirty: AtomicBool::new(false),
            changed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }))
    }

    /// A file that holds all pages of its last commit.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] if it does not: redb would take an empty file for a new database.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let pages = Self::new(file);
        match pages.len()? {
            0 => Err(damaged("the file is empty")),
            len if len < committed_len(&pages.read_header()?) => Err(damaged("it is cut off")),
            _ => Ok(pages),
        }
    }

    /// Ignores all later writes.
    ///
    /// When redb is closed, it commits once more to speed up the next opening, which our commits do
    /// already.
    pub(super) fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
    }

    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    /// Whether this file was written to.
    pub(super) fn is_changed(&self) -> bool {
        self.0.changed.load(Ordering::Acquire)
    }

    /// Whether a write has failed, so that the contents are unknown.
    pub(super) fn has_failed(&self) -> bool {
        self.0.failed.load(Ordering::Acquire)
    }

    /// The checksum of the header, which differs from commit to commit.
    pub(super) fn header_checksum(&self) -> io::Result<[u8; 8]> {
        Ok(checksum(0, &self.read_header()?))
    }

    fn read_header(&self) -> io::Result<Header> {
        let mut known = self.0.header.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(header) = known.as_deref() {
            return Ok(*header);
        }
        let mut stored = [0; HEADER + size_of::<u64>()];
        self.0.file.read_exact_at(&mut stored, 0)?;
        match stored.split_first_chunk() {
            Some((header, sum)) if sum == checksum(0, header) => {
                *known = Some(Box::new(*header));
                Ok(*header)
            }
            _ => Err(damaged("its header is not as it was written")),
        }
    }

    fn write_header(&self, header: &Header) -> io::Result<()> {
        let mut known = self.0.header.lock().unwrap_or_else(PoisonError::into_inner);
        // redb notes in the header that it has the file open, and here it always has.
        if known.as_deref() == Some(header) {
            return Ok(());
        }
        self.change()?;
        *known = None;
        let stored = [header.as_slice(), &checksum(0, header)].concat();
        self.noting(self.0.file.write_all_at(&stored, 0))?;
        *known = Some(Box::new(*header));
        Ok(())
    }

    fn change(&self) -> io::Result<()> {
        if self.0.ended.load(Ordering::Acquire) {
            return Err(io::Error::other("the transaction has ended"));
        }
        self.0.dirty.store(true, Ordering::Release);
        self.0.changed.store(true, Ordering::Release);
        Ok(())
    }

    fn noting(&self, written: io::Result<()>) -> io::Result<()> {
        if written.is_err() {
            self.0.failed.store(true, Ordering::Release);
        }
        written
    }
}

impl StorageBackend for PageFile {
    fn len(&self) -> io::Result<u64> {
        let stored = self.0.file.metadata()?.len();
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
        self.0
            .file
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
        self.noting(self.0.file.write_all_at(&stored, first * STRIDE as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change()?;
        let (now, new) = (self.len()?, len / PAGE as u64 * STRIDE as u64);
        let now = now / PAGE as u64 * STRIDE as u64;
        // A commit writes to pages that were free. On a full disk they must have their blocks, or
        // no DEL could end.
        self.noting(match new > now {
            true => state::grow(&self.0.file, now, new),
            false => self.0.file.set_len(new),
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.0.dirty.load(Ordering::Acquire) {
            self.noting(self.0.file.sync_data())?;
            self.0.dirty.store(false, Ordering::Release);
        }
        Ok(())
    }
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

/// The length that the file's last commit needs, in redb's bytes, from redb's header. redb shrinks
/// the file only after it has recorded the new length there.
fn committed_len(header: &Header) -> u64 {
    let field = |at: usize| {
        let bytes = header.get(at..).and_then(<[u8]>::first_chunk);
        u64::from(bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes)))
    };
    let (region_header, full_region) = (field(16), field(16) + field(20));
    let (full_regions, last_region) = (field(24), field(28));
    let last = if last_region == 0 {
        0
    } else {
        region_header + last_region
    };
    let pages = full_regions
        .saturating_mul(full_region)
        .saturating_add(last);
    pages.saturating_add(1).saturating_mul(PAGE as u64)
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

fn checksum(number: u64, page: &[u8]) -> [u8; 8] {
    state::checksum(!number, page).to_le_bytes()
}
