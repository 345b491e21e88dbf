//! Errors that carry their path.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cni_types::Code;

/// The operation on a file or directory that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    Create,
    List,
    Lock,
    Open,
    Read,
    Remove,
    Write,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Create => "create",
            Action::List => "list",
            Action::Lock => "lock",
            Action::Open => "open",
            Action::Read => "read",
            Action::Remove => "remove",
            Action::Write => "write",
        })
    }
}

/// Why state on disk could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The kernel refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation that failed.
        action: Action,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Something else than a regular file has the name: a symbolic link, which is never followed,
    /// or a directory.
    #[error("{} is no regular file: remove it if nobody needs it", .0.display())]
    NotAFile(PathBuf),
    /// Something else has the name of a directory: a file, or a symbolic link, which is never
    /// followed.
    #[error("{} is not a directory: remove it if nobody needs it", .0.display())]
    NotADirectory(PathBuf),
    /// Others held the lock until the timeout.
    #[error(
        "{} {}{} for more than {} s: wait for {}",
        path.display(),
        if *moves_on { "is locked by one process after another, now" } else { "is locked" },
        holder.map(|pid| format!(" by process {pid}")).unwrap_or_default(),
        timeout.as_secs_f32(),
        if *moves_on { "them to end their work" } else { "it or end it" },
    )]
    Locked {
        /// The lock file, or the locked directory.
        path: PathBuf,
        /// Whether several processes held the lock one after another: then nobody is stuck.
        moves_on: bool,
        /// The process that holds the lock, if the kernel reports it.
        holder: Option<u32>,
        /// The timeout.
        timeout: Duration,
    },
}

impl StateError {
    /// The code of the error for a runtime.
    pub fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::NotAFile(_) | Self::NotADirectory(_) => Code::IO_FAILURE,
            Self::Locked { .. } => Code::TRY_AGAIN_LATER,
        }
    }

    pub(crate) fn io(
        action: Action,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source: source.into(),
        }
    }
}

impl From<StateError> for cni_types::Error {
    fn from(error: StateError) -> Self {
        cni_types::Error::new(error.code(), error)
    }
}
