//! The plugin's errors, and the code that each has for the runtime.

use cni_types::{Code, Error, NameError};

/// The configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(
        "ipam.type is missing: ipvlan needs addresses, from an IPAM plugin or from the prevResult \
            of a chain"
    )]
    NoAddresses,
    #[error(
        "master is not configured, and prevResult has {0} interfaces where one with a name would \
            be taken for it"
    )]
    NoSingleInterface(usize),
    #[error("prevResult.interfaces[0].name {0}")]
    Interface(NameError),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}
