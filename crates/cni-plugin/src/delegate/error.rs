//! Failures of a delegation.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use cni_types::json::DecodeError;
use cni_types::{Code, Error, PluginType};
use nix::sys::signal::Signal;

use crate::Command;

/// A failed delegation.
#[derive(Debug, thiserror::Error)]
pub enum DelegateError {
    /// No directory of `CNI_PATH` has a file with the delegate's name.
    #[error("no plugin {plugin_type:?} in CNI_PATH {}: install it there, or correct the type in \
        the network configuration", path.display())]
    Missing {
        /// The delegate's type.
        plugin_type: String,
        /// The directories that were searched.
        path: OsString,
    },
    /// The file is not executable.
    #[error("plugin {} is not executable: make it so with chmod +x", program.display())]
    NotExecutable {
        /// The file.
        program: PathBuf,
    },
    /// The delegate could not be started, and has done nothing.
    #[error("cannot start plugin {}: {source}", program.display())]
    Start {
        /// The plugin's file.
        program: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Writing the delegate's input or reading its output failed.
    #[error("cannot talk to plugin {}: {source}", program.display())]
    Talk {
        /// The plugin's file.
        program: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The delegate ended by a signal, or failed without a JSON error. What it printed then says
    /// why, so the message has the first line of it.
    #[error("plugin {} {}", program.display(), describe(*status, said))]
    Died {
        /// The plugin's file.
        program: PathBuf,
        /// The exit status or signal.
        status: ExitStatus,
        /// The start of its standard output, or of its standard error if that is empty.
        said: String,
    },
    /// The delegate succeeded, but its answer is not a valid result.
    #[error("plugin {} answered {command} with an invalid result: {source}", program.display())]
    Garbage {
        /// The plugin's file.
        program: PathBuf,
        /// The command.
        command: Command,
        /// The answer's mistake.
        source: DecodeError,
        /// The start of the answer.
        said: String,
    },
    /// The delegate failed and reported a JSON error.
    #[error("{plugin_type}: {error}")]
    Failed {
        /// The delegate's type.
        plugin_type: PluginType,
        /// The delegate's error.
        error: Error,
    },
}

impl DelegateError {
    /// Whether the delegate is known to have ended by itself, or not to have been started. Then no
    /// process that the delegate started is still at work.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::NotExecutable { .. }
            | Self::Start { .. }
            | Self::Garbage { .. }
            | Self::Failed { .. } => true,
            Self::Died { status, .. } => status.code().is_some(),
            Self::Talk { .. } => false,
        }
    }

    /// Whether the delegate reports the command as unknown, as plugins for an earlier version of
    /// the specification do.
    pub(super) fn is_unknown_command(&self) -> bool {
        matches!(
            self,
            Self::Failed { error, .. }
                if error.code == Code::INVALID_ENVIRONMENT && error.msg.contains("unknown CNI_COMMAND")
        )
    }
}

impl From<DelegateError> for Error {
    /// A delegate's own error keeps its code and details; its message gets the delegate's name.
    fn from(error: DelegateError) -> Self {
        let msg = error.to_string();
        match error {
            DelegateError::Missing { .. }
            | DelegateError::NotExecutable { .. }
            | DelegateError::Start { .. } => Error::new(Code::DELEGATE_UNUSABLE, msg),
            DelegateError::Talk { .. } => Error::new(Code::IO_FAILURE, msg),
            DelegateError::Died { said, .. } => {
                Error::new(Code::DELEGATE_BROKEN, msg).with_details(said)
            }
            DelegateError::Garbage { said, .. } => {
                Error::new(Code::DECODING_FAILURE, msg).with_details(said)
            }
            DelegateError::Failed { plugin_type, error } => Error {
                msg: format!("{plugin_type}: {}", error.msg),
                ..error
            },
        }
    }
}

/// The start of a plugin's output, for the details of an error.
pub(super) fn quote(said: &[u8]) -> String {
    /// The largest number of characters.
    const LIMIT: usize = 500;
    let text = String::from_utf8_lossy(said);
    text.trim().chars().take(LIMIT).collect()
}

/// The first line of what a plugin has printed, for the end of a message.
fn first_line(said: &str) -> String {
    /// The largest number of characters.
    const LIMIT: usize = 200;
    let line: String = said
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(LIMIT)
        .collect();
    if line.is_empty() {
        return line;
    }
    format!(": {line}")
}

fn describe(status: ExitStatus, said: &str) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => {
            let said = first_line(said);
            format!("failed with exit status {code} and no error in JSON{said}")
        }
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
        (None, None) => format!("ended with {status}"),
    }
}
