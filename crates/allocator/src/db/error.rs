//! The database's errors.

use std::io;
use std::path::{Path, PathBuf};

use cni_types::Code;
use state::StateError;

/// Why the database could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// It could not be reached, or others kept its lock for too long.
    #[error(transparent)]
    State(#[from] StateError),
    /// The kernel refused to read or write it.
    #[error("cannot read or write {}: {source}", path.display())]
    Io {
        /// The database's file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Somebody removed it or put another file in its place while it was in use, so what was done
    /// in it does not count.
    #[error(
        "{} was removed or replaced while this call wrote to it, so the call has changed nothing: \
            repeat it",
        .0.display()
    )]
    Replaced(PathBuf),
    /// It is not as it was written. It is left as it is: which addresses the node's containers have
    /// is known only to it.
    #[error(
        "{} is damaged: {reason}; to start with an empty one, end this node's containers, whose \
            addresses it would give again, and move the file away",
        path.display()
    )]
    Damaged {
        /// The database's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl DbError {
    /// What a check of the whole file has found.
    pub(super) fn of_check(path: &Path, error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(_) => Self::Damaged {
                path: path.to_owned(),
                reason: "its pages are not all of one time, as in a copy that was made while \
                    plugins were at work"
                    .to_owned(),
            },
            error => Self::of(path, error),
        }
    }

    pub(super) fn of(path: &Path, error: redb::Error) -> Self {
        let path = path.to_owned();
        match error {
            redb::Error::Io(source) => match source.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged {
                    path,
                    reason: source.to_string(),
                },
                _ => Self::Io { path, source },
            },
            redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::TransactionPoisoned
            | redb::Error::ValueTooLarge(_) => Self::Io {
                path,
                source: io::Error::other(error),
            },
            error => Self::Damaged {
                path,
                reason: error.to_string(),
            },
        }
    }
}

impl From<DbError> for cni_types::Error {
    fn from(error: DbError) -> Self {
        let code = match error {
            DbError::State(error) => return error.into(),
            DbError::Io { .. } => Code::IO_FAILURE,
            DbError::Replaced(_) => Code::TRY_AGAIN_LATER,
            DbError::Damaged { .. } => Code::DECODING_FAILURE,
        };
        cni_types::Error::new(code, error)
    }
}
