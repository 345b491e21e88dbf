//! The plugin's errors, and the code that each has for the runtime.

use cni_plugin::DelegateError;
use cni_types::json::DecodeError;
use cni_types::{Attachment, Code, Error, NameError, PluginType, Quoted, Version};
use state::StateError;
use std::path::{Path, PathBuf};

use crate::subnet_env::{Lease, LeaseError, Problem};

/// An invalid configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("delegate must not have the key {0:?}: flannel sets it")]
    ReservedKey(&'static str),
    #[error("delegate.{0}")]
    DelegateType(DecodeError),
    #[error("delegate.type {0}")]
    InvalidType(NameError),
    #[error("delegate.type: null is no string: leave the key out, or name a plugin")]
    NullType,
    #[error("{0} must not be \"flannel\": it would call itself for ever")]
    OwnType(&'static str),
    #[error(
        "flannel is called as {}, and delegate.type is that as well: it would call itself for ever; correct delegate.type or \
         ipam.type, or install the plugin of that name again",
        Quoted(.0)
    )]
    Recursion(String),
    #[error(
        "ipam.type {0} is no IPAM plugin: it gives no addresses, and would call itself for ever; \
            leave the key out for host-local"
    )]
    NoIpam(PluginType),
    #[error("subnetFileWait: {0} is no number of seconds to wait")]
    SubnetFileWait(f64),
    #[error("{0}")]
    Render(#[from] DecodeError),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::DelegateType(_) | ConfigError::NullType | ConfigError::Render(_) => {
                Code::DECODING_FAILURE
            }
            ConfigError::ReservedKey(_)
            | ConfigError::InvalidType(_)
            | ConfigError::OwnType(_)
            | ConfigError::Recursion(_)
            | ConfigError::NoIpam(_)
            | ConfigError::SubnetFileWait(_) => Code::INVALID_NETWORK_CONFIG,
        };
        Error::new(code, format!("network configuration: {error}"))
    }
}

impl From<LeaseError> for Error {
    fn from(error: LeaseError) -> Self {
        let code = match error.problem {
            Problem::Absent | Problem::Partial { .. } => Code::TRY_AGAIN_LATER,
            Problem::Unreadable(_) => Code::IO_FAILURE,
            Problem::NoRoom { .. } => Code::INVALID_NETWORK_CONFIG,
            Problem::NotText(_)
            | Problem::NoAssignment { .. }
            | Problem::OpenQuote(_)
            | Problem::Network { .. }
            | Problem::NotIpv6 { .. }
            | Problem::Mtu(_) => Code::DECODING_FAILURE,
        };
        let remedy = match error.problem {
            Problem::Absent | Problem::Partial { .. } => "check the log of flanneld on this node",
            Problem::Unreadable(_) => "make it a file that root can read",
            Problem::NoRoom { .. } => {
                "see SubnetLen and IPv6SubnetLen in flannel's net-conf.json, or podCIDR of this \
                    node"
            }
            _ => "correct it, or have flanneld write it anew by restarting it",
        };
        Error::new(code, format!("failed to load the lease: {error}")).with_details(remedy)
    }
}

/// A delegate's configuration could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScratchError {
    #[error(transparent)]
    Encode(#[from] DecodeError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(
        "another ADD of {0} is under way, or something that a killed one has started: wait for \
            it, or call DEL"
    )]
    UnderWay(Attachment),
}

impl From<ScratchError> for Error {
    fn from(error: ScratchError) -> Self {
        match error {
            ScratchError::Encode(error) => ConfigError::from(error).into(),
            ScratchError::State(error) => error.into(),
            ScratchError::UnderWay(_) => Self::new(Code::TRY_AGAIN_LATER, error),
        }
    }
}

/// CHECK finds no kept configuration.
#[derive(Debug, thiserror::Error)]
#[error("{attachment} has no usable configuration in {}: it was not added, or has been \
    deleted", data_dir.display())]
pub(crate) struct NotKept {
    pub(crate) attachment: Attachment,
    pub(crate) data_dir: PathBuf,
}

impl From<NotKept> for Error {
    fn from(error: NotKept) -> Self {
        Error::new(Code::CHECK_FAILED, error)
    }
}

/// STATUS: why an ADD cannot succeed now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("{0}")]
    Lease(LeaseError),
    #[error("dataDir cannot be written to: {0}")]
    DataDir(StateError),
    #[error("{0}")]
    Delegate(DelegateError),
    #[error("plugin {} does not support cniVersion {version}", program.display())]
    Version { program: PathBuf, version: Version },
}

impl From<NotReady> for Error {
    fn from(error: NotReady) -> Self {
        let cause = match error {
            NotReady::Lease(error) => error.into(),
            error => Error::new(Code::NOT_AVAILABLE, error),
        };
        Error {
            code: Code::NOT_AVAILABLE,
            ..cause
        }
    }
}

/// Adds the file of the delegate's configuration to its error.
pub(crate) fn naming_file(error: Error, file: &Path) -> Error {
    let msg = format!(
        "{} (with the configuration kept in {})",
        error.msg,
        file.display()
    );
    Error { msg, ..error }
}

/// A part of the bridge plugins' error for a bridge with an address of another subnet than the
/// lease's.
const OTHER_ADDRESS: &str = "already has an IP address different from";

/// Adds advice to a delegate's error about a bridge that was created for an earlier lease.
pub(crate) fn explain_old_bridge(mut error: Error, lease: &Lease) -> Error {
    if error.msg.contains(OTHER_ADDRESS) {
        let remedy = format!(
            "the bridge has the address of an earlier lease, flanneld's is now {lease}: when no container uses the bridge any \
             more, delete it with \"ip link delete\", and the next ADD recreates it"
        );
        if !error.details.is_empty() {
            error.details.push_str("; ");
        }
        error.details.push_str(&remedy);
    }
    error
}

/// Parts of Go's ipvlan plugin's errors for a configuration without `master`, which its ADD does
/// not need: from each CHECK, and from a DEL whose `prevResult` has more than one interface.
const NO_MASTER: [&str; 2] = ["failed to lookup master \"\":", "chained master failure."];

/// Whether a delegate failed only because `master` is missing, before it looked at the container.
pub(crate) fn is_missing_master(error: &DelegateError) -> bool {
    let DelegateError::Failed { error, .. } = error else {
        return false;
    };
    NO_MASTER.iter().any(|start| error.msg.starts_with(start))
}

/// The start of Go's macvlan and ipvlan plugins' error for a missing `master`.
const NO_SUCH_MASTER: &str = "Link not found";

/// Their error without a `master` on a node that has no default route any more.
const NO_DEFAULT_ROUTE: &str = "no default route interface found";

/// The start of macvlan's error if the master's MTU is now smaller than the configuration's.
const SMALLER_MASTER: &str = "invalid MTU ";

/// Whether a delegate's DEL did not begin because the master has changed since the ADD. These
/// plugins validate the master before they release addresses and remove the link, and need it for
/// neither.
pub(crate) fn is_changed_master(error: &DelegateError) -> bool {
    let DelegateError::Failed { plugin_type, error } = error else {
        return false;
    };
    let has_master = matches!(plugin_type.as_str(), "macvlan" | "ipvlan");
    has_master
        && (error.msg == NO_SUCH_MASTER
            || error.msg == NO_DEFAULT_ROUTE
            || error.msg.starts_with(SMALLER_MASTER))
}

/// A part of Go's bridge plugin's error at a CHECK of a result without the links on the node.
const NO_INTERFACE: &str = "Interface name missing";

/// Whether a delegate cannot check a result that contains only the container's interface.
pub(crate) fn is_missing_interfaces(error: &DelegateError) -> bool {
    matches!(error, DelegateError::Failed { error, .. } if error.msg.starts_with(NO_INTERFACE))
}
