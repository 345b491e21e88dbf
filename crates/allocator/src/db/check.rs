//! Checks a whole file that was last written by another program or a killed process.
//!
//! A page's own checksum shows that the page is as it was written, but not that it belongs to the
//! last commit: a copy that was made while the file was in use may have an earlier version of the
//! page. redb's pages form a tree in which each page has the checksums of those below it. On
//! request, redb walks this tree, and then rebuilds its records of free pages and commits. Here it
//! does so in memory, so the file stays as it is.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::CACHE;
use super::pages::{PAGE, PageFile};

/// Checks that the file has all pages of its last commit.
///
/// # Errors
/// [`redb::Error::Corrupted`] if it is not; [`redb::Error::Io`] if a page cannot be read.
pub(super) fn check(pages: &PageFile) -> Result<(), redb::Error> {
    let mut builder = redb::Builder::new();
    builder
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true);
    let copy = Copy {
        pages: pages.clone(),
        changes: Mutex::new(Changes {
            len: pages.len()?,
            written: HashMap::new(),
        }),
    };
    builder.create_with_backend(copy)?;
    Ok(())
}

/// A file, and the changes to it, which stay in memory.
#[derive(Debug)]
struct Copy {
    pages: PageFile,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    len: u64,
    /// Blocks by their offsets: pages, and the header, which is shorter.
    written: HashMap<u64, Vec<u8>>,
}

impl Copy {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Copy {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.changes();
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > changes.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for (offset, out) in blocks(offset).zip(out.chunks_mut(PAGE)) {
            match changes
                .written
                .get(&offset)
                .map(|block| block.get(..out.len()))
            {
                Some(Some(start)) => out.copy_from_slice(start),
                Some(None) => return Err(ErrorKind::Unsupported.into()),
                None => self.pages.read(offset, out)?,
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        for (offset, block) in blocks(offset).zip(data.chunks(PAGE)) {
            changes.written.insert(offset, block.to_vec());
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.changes().len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

fn blocks(offset: u64) -> impl Iterator<Item = u64> {
    (0u64..).map(move |block| offset + block * PAGE as u64)
}
