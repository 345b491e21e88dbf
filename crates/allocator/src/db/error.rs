//! Conversion of redb's errors.

use std::io;
use std::path::Path;

use crate::StoreError;

/// The error of a check of the whole file.
pub(super) fn of_check(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(_) => StoreError::Damaged {
            path: path.to_owned(),
            reason: "its pages are not all of one time, as in a copy that was made while \
                plugins were at work"
                .to_owned(),
        },
        error => of(path, error),
    }
}

/// The error of an operation.
pub(super) fn of(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::Io(source) => match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => StoreError::Damaged {
                path,
                reason: source.to_string(),
            },
            _ => StoreError::Io { path, source },
        },
        redb::Error::PreviousIo
        | redb::Error::DatabaseClosed
        | redb::Error::TransactionPoisoned
        | redb::Error::ValueTooLarge(_) => StoreError::Io {
            path,
            source: io::Error::other(error),
        },
        error => StoreError::Damaged {
            path,
            reason: error.to_string(),
        },
    }
}
