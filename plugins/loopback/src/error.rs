//! The plugin's errors, and their codes.

use std::path::PathBuf;

use cni_types::{Code, Error};
use ipnetwork::IpNetwork;

/// `lo` has an address that is not a loopback address.
#[derive(Debug, thiserror::Error)]
#[error("lo of the container has address {0}, which is no loopback address: remove it")]
pub(crate) struct Foreign(pub(crate) IpNetwork);

impl From<Foreign> for Error {
    fn from(error: Foreign) -> Self {
        Error::new(Code::INVALID_NETNS, error)
    }
}

/// CHECK: `lo` is down.
#[derive(Debug, thiserror::Error)]
#[error("lo is down in {}", .0.display())]
pub(crate) struct NotUp(pub(crate) PathBuf);

impl From<NotUp> for Error {
    fn from(error: NotUp) -> Self {
        Error::new(Code::CHECK_FAILED, error)
    }
}
