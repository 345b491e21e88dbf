//! redb, open for one transaction.

use redb::{StorageBackend, WriteTransaction};

use super::pages::PageFile;
use super::{CACHE, Table};

/// A transaction of redb, with all that has the file open. [`Session::end`] and dropping it close
/// the file.
pub(super) struct Session {
    // In the order in which they must be dropped: redb keeps the file open while a transaction
    // exists, and what redb writes when it is closed must not reach the file.
    write: WriteTransaction,
    end: End,
    database: redb::Database,
}

impl Session {
    /// Opens redb on a storage of these pages.
    pub(super) fn begin(
        storage: impl StorageBackend,
        pages: PageFile,
    ) -> Result<Self, redb::Error> {
        let database = open(storage)?;
        let mut write = database.begin_write()?;
        write.set_quick_repair(true);
        Ok(Self {
            write,
            end: End(pages),
            database,
        })
    }

    /// Opens a table, and creates it if it is missing.
    pub(super) fn open_table(
        &self,
        table: Table,
    ) -> Result<redb::Table<'_, &'static [u8], &'static [u8]>, redb::TableError> {
        self.write.open_table(table)
    }

    /// Commits or aborts, and closes the file.
    pub(super) fn end(self, commit: bool) -> Result<(), redb::Error> {
        let Self {
            write,
            end,
            database,
        } = self;
        let ended = if commit {
            write.commit().map_err(redb::Error::from)
        } else {
            write.abort().map_err(redb::Error::from)
        };
        drop(end);
        drop(database);
        ended
    }
}

/// Writes an empty database into an empty file.
pub(super) fn make(pages: PageFile) -> Result<(), redb::Error> {
    let end = End(pages.clone());
    let made = open(pages);
    drop(end);
    made.map(drop)
}

fn open(storage: impl StorageBackend) -> Result<redb::Database, redb::Error> {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE);
    Ok(builder.create_with_backend(storage)?)
}

/// Ends the writing to a file when it is dropped.
struct End(PageFile);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}
