//! The plugin's errors, and the code that each has for the runtime.

use cni_types::{Code, Error};

/// The configuration is not supported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("bcqueuelen {0} is not supported: leave it out, and the kernel's default is used")]
    BcQueueLen(u32),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::BcQueueLen(_) => Code::INVALID_NETWORK_CONFIG,
        };
        Error::new(code, error)
    }
}
