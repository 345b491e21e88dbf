//! What can go wrong, and the code that each error has for the runtime.

use cni_types::json::DecodeError;
use cni_types::{Attachment, Code, Error, NameError};
use state::StateError;
use std::path::PathBuf;

use crate::subnet_env::{LeaseError, Problem};

/// A configuration that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("delegate must not have the key {0:?}: flannel sets it")]
    ReservedKey(&'static str),
    #[error("delegate.{0}")]
    DelegateType(DecodeError),
    #[error("delegate.type {0}")]
    InvalidType(NameError),
    #[error("{0}")]
    Render(DecodeError),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::DelegateType(_) | ConfigError::Render(_) => Code::DECODING_FAILURE,
            ConfigError::ReservedKey(_) | ConfigError::InvalidType(_) => {
                Code::INVALID_NETWORK_CONFIG
            }
        };
        Error::new(code, format!("network configuration: {error}"))
    }
}

impl From<LeaseError> for Error {
    fn from(error: LeaseError) -> Self {
        let code = match error.problem {
            Problem::Absent | Problem::Partial(_) => Code::TRY_AGAIN_LATER,
            Problem::Unreadable(_) => Code::IO_FAILURE,
            Problem::NotText(_)
            | Problem::NoAssignment { .. }
            | Problem::OpenQuote(_)
            | Problem::Network { .. }
            | Problem::Family { .. }
            | Problem::Mtu(_)
            | Problem::IpMasq(_) => Code::DECODING_FAILURE,
        };
        Error::new(code, format!("failed to load the lease: {error}"))
            .with_details("check the log of flanneld on this node")
    }
}

/// A delegate's configuration could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScratchError {
    #[error(transparent)]
    Encode(#[from] DecodeError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ScratchError> for Error {
    fn from(error: ScratchError) -> Self {
        match error {
            ScratchError::Encode(error) => ConfigError::Render(error).into(),
            ScratchError::State(error) => error.into(),
        }
    }
}

/// CHECK finds nothing to replay.
#[derive(Debug, thiserror::Error)]
#[error("{attachment} has no usable configuration in {}: it was not added, or has been deleted", data_dir.display())]
pub(crate) struct NotKept {
    pub(crate) attachment: Attachment,
    pub(crate) data_dir: PathBuf,
}

impl From<NotKept> for Error {
    fn from(error: NotKept) -> Self {
        Error::new(Code::CHECK_FAILED, error)
    }
}
