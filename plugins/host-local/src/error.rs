//! The plugin's errors, and the code that each has for the runtime.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use allocator::{
    AllocateError, First, Location, RangeError, RangeSet, RangeSetError, RangeSetsError, SetError,
    StoreError, StoreKind,
};
use cni_types::{AddressError, Attachment, Code, Error, Quoted, Version};

/// An invalid configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{0} of the network configuration is missing")]
    Missing(&'static str),
    #[error("no IP ranges specified: ipam needs ranges or a subnet")]
    NoRanges,
    #[error("{0}.subnet is missing")]
    NoSubnet(String),
    #[error("CNI_ARGS IP: {0}")]
    ArgsIp(AddressError),
    #[error("{key}: {source}")]
    Address { key: String, source: AddressError },
    #[error("{key}: {source}")]
    Range { key: String, source: RangeError },
    #[error("{key}: {source}")]
    RangeSet { key: String, source: RangeSetError },
    #[error(transparent)]
    RangeSets(RangeSetsError),
    #[error(
        "ipam.exclude[{index}]: {} is no address, network or span of addresses such as \
            10.0.0.5-10.0.0.9",
        Quoted(text)
    )]
    NoSpan { index: usize, text: String },
    #[error("ipam.exclude leaves no address to give in range set {set} of {key}")]
    AllExcluded { key: String, set: RangeSet },
    #[error(
        "{key}: failed to allocate for range {index}: no IP addresses available in range set: \
            {set}: all that is in it is the gateway"
    )]
    OnlyGateways {
        key: String,
        index: usize,
        set: RangeSet,
    },
    #[error("ipam.reclaim: {} is neither \"reboot\" nor \"never\"", Quoted(.0))]
    Reclaim(String),
    #[error("ipam.backend: {} is neither \"disk\" nor \"db\"", Quoted(.0))]
    Backend(String),
    #[error("ipam.lockTimeout: {0} is no number of seconds to wait")]
    LockTimeout(f64),
    #[error(
        "ipam has several range sets of one family, but cniVersion {0} has room for one address of each: use 0.3.0 or later"
    )]
    TooManySets(Version),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::ArgsIp(_) => Code::INVALID_ENVIRONMENT,
            ConfigError::Missing(_)
            | ConfigError::NoRanges
            | ConfigError::NoSubnet(_)
            | ConfigError::Address { .. }
            | ConfigError::Range { .. }
            | ConfigError::RangeSet { .. }
            | ConfigError::RangeSets(_)
            | ConfigError::NoSpan { .. }
            | ConfigError::AllExcluded { .. }
            | ConfigError::OnlyGateways { .. }
            | ConfigError::Reclaim(_)
            | ConfigError::Backend(_)
            | ConfigError::LockTimeout(_)
            | ConfigError::TooManySets(_) => Code::INVALID_NETWORK_CONFIG,
        };
        Error::new(code, error)
    }
}

/// `ipam.resolvConf` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("ipam.resolvConf: cannot read {}: {source}", path.display())]
pub(crate) struct ResolvConfError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl From<ResolvConfError> for Error {
    fn from(error: ResolvConfError) -> Self {
        Error::new(Code::IO_FAILURE, error)
    }
}

/// Why CHECK fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("{attachment} holds no address in {location}")]
    HoldsNothing {
        attachment: Attachment,
        location: Location,
    },
    #[error(
        "{attachment} does not hold {} of prevResult in {location}",
        First(missing, ", ")
    )]
    Missing {
        attachment: Attachment,
        location: Location,
        missing: Vec<IpAddr>,
    },
}

impl From<CheckError> for Error {
    fn from(error: CheckError) -> Self {
        Error::new(Code::CHECK_FAILED, error)
    }
}

/// `ipam.backend` was changed without moving the network's addresses.
#[derive(Debug, thiserror::Error)]
#[error(
    "network {} has {count} {} in {}, which \"backend\": \"{}\" does not know: move them with \
        `twill convert {} {} --data-dir {}`, or set \"backend\": \"{}\"",
    location.network,
    if *count == 1 { "address" } else { "addresses" },
    location.other(),
    location.backend,
    location.backend,
    location.network,
    location.data_dir.display(),
    location.other().backend
)]
pub(crate) struct NotConverted {
    pub(crate) count: usize,
    /// The location that has no addresses.
    pub(crate) location: Box<Location>,
}

/// Why the network's addresses cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostLocalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NotConverted(#[from] NotConverted),
    #[error("{error}{}", advice_about(error, location))]
    Allocate {
        error: AllocateError,
        location: Box<Location>,
    },
}

impl HostLocalError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => of_store(error),
            Self::NotConverted(_) => Code::INVALID_NETWORK_CONFIG,
            Self::Allocate { error, .. } => match error {
                AllocateError::Store(error) => of_store(error),
                AllocateError::Unfulfilled(_) => Code::ADDRESS_UNAVAILABLE,
                AllocateError::Set { reason, .. } => match reason {
                    SetError::Exhausted { .. } => Code::ADDRESSES_EXHAUSTED,
                    SetError::Duplicate { .. } => Code::ALREADY_ALLOCATED,
                    SetError::Gateway(_) | SetError::Excluded(_) | SetError::Taken { .. } => {
                        Code::ADDRESS_UNAVAILABLE
                    }
                },
            },
        }
    }
}

fn of_store(error: &StoreError) -> Code {
    match error {
        StoreError::State(error) => error.code(),
        StoreError::Io { .. } => Code::IO_FAILURE,
        StoreError::Replaced(_) => Code::TRY_AGAIN_LATER,
        StoreError::Damaged { .. } => Code::DECODING_FAILURE,
        StoreError::NoDatabase(_) => Code::UNSUPPORTED_FIELD,
    }
}

impl From<HostLocalError> for Error {
    fn from(error: HostLocalError) -> Self {
        Error::new(error.code(), error)
    }
}

fn advice_about(error: &AllocateError, location: &Location) -> String {
    match error {
        AllocateError::Set { reason, .. } => advice(reason, location),
        AllocateError::Store(_) | AllocateError::Unfulfilled(_) => String::new(),
    }
}

/// What to do about a range set without a free address.
fn advice(reason: &SetError, location: &Location) -> String {
    let SetError::Exhausted { held, earlier, .. } = reason else {
        return String::new();
    };
    let earlier = match earlier {
        0 => String::new(),
        earlier => {
            format!(", {earlier} of them since before a reboot, which reclaim \"never\" keeps")
        }
    };
    let held = match held {
        1 => "1 address is".to_owned(),
        held => format!("{held} addresses are"),
    };
    let database = match location.backend {
        StoreKind::Disk => String::new(),
        // The shell's `*` does not match a name that starts with a dot.
        StoreKind::Db => format!(
            " (`rm -rf {}/*` does not empty this file)",
            location.data_dir.display()
        ),
    };
    format!(
        ": {held} held in {location}{earlier}{database}: delete containers, have the runtime collect garbage, or \
         configure a larger range"
    )
}

/// STATUS: why an ADD cannot succeed now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("{reason}{}", advice(reason, location))]
    Exhausted {
        reason: SetError,
        location: Location,
    },
    #[error(transparent)]
    NothingToGive(ConfigError),
    #[error(transparent)]
    ResolvConf(ResolvConfError),
    #[error("the addresses in {location} cannot be used: {source}")]
    Unusable {
        location: Location,
        source: HostLocalError,
    },
}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        Error::new(Code::NOT_AVAILABLE, error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use state::{Action, StateError};

    use super::*;

    #[test]
    fn each_failure_of_a_store_has_its_code() {
        let path = || PathBuf::from("/data/.addresses.db");
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        let state = |error| HostLocalError::Store(StoreError::State(error));
        let cases = [
            (
                state(StateError::Io {
                    action: Action::Read,
                    path: path(),
                    source: refused(),
                }),
                5,
            ),
            (state(StateError::NotAFile(path())), 5),
            (state(StateError::NotADirectory(path())), 5),
            (
                state(StateError::Locked {
                    path: path(),
                    moves_on: false,
                    holder: None,
                    timeout: Duration::ZERO,
                }),
                11,
            ),
            (
                HostLocalError::Store(StoreError::Io {
                    path: path(),
                    source: refused(),
                }),
                5,
            ),
            (HostLocalError::Store(StoreError::Replaced(path())), 11),
            (
                HostLocalError::Store(StoreError::Damaged {
                    path: path(),
                    reason: "the file is empty".to_owned(),
                }),
                6,
            ),
            (HostLocalError::Store(StoreError::NoDatabase(path())), 2),
        ];
        for (error, code) in cases {
            let text = error.to_string();
            assert!(text.contains("/data/.addresses.db"), "{text}");
            assert_eq!(Error::from(error), Error::new(Code(code), text));
        }
    }
}
