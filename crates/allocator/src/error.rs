//! Why a network's addresses cannot be read or changed.

use std::io;
use std::path::PathBuf;

use state::StateError;

/// A failure of a [`Store`](crate::Store), or of opening one. Each names its file or directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory cannot be used, or others held its lock until the timeout.
    #[error(transparent)]
    State(#[from] StateError),
    /// The kernel refused to read or write the database.
    #[error("cannot read or write {}: {source}", path.display())]
    Io {
        /// The database's file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Somebody removed the database, or replaced it by another file, while it was in use, so what
    /// this transaction wrote does not count.
    #[error(
        "{} was removed or replaced while this call wrote to it, so the call has changed nothing: \
            repeat it",
        .0.display()
    )]
    Replaced(PathBuf),
    /// The database is not as it was written. It is left as it is, because nothing else records
    /// which addresses the node's containers have.
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
    /// The addresses are, or would be, in a database, and this build has none.
    #[error(
        "{} is a database, and these plugins were built without one (the feature `db`): install a \
            build with it, or set \"backend\": \"disk\" and, if no container has its addresses in \
            that file, move the file away",
        .0.display()
    )]
    NoDatabase(PathBuf),
}

impl StoreError {
    /// Whether others held the lock until the timeout, one after another: the network is busy, and
    /// nobody is stuck.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::State(StateError::Locked { moves_on: true, .. }))
    }
}
