//! The errors of a sub-interface, and the code that each has for the runtime.

use cni_types::{Code, Error, IfName, LinkName, NameError};
use container_link::{IfnameTaken, code_of_refusal};
use netlink::{Mac, NetlinkError, SubInterface, UnknownMode};
use nix::errno::Errno;

/// The configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("mode: {0}")]
    Mode(UnknownMode),
    #[error("master {0}")]
    Master(NameError),
    #[error("mtu {mtu} is larger than that of master {master}, {limit}")]
    MtuOfMaster {
        mtu: u32,
        master: String,
        limit: u32,
    },
    #[error(
        "mac {mac}: a macvlan in mode passthru has the address of its master {master}{}: leave \
            mac out",
        own.map(|own| format!(", {own}")).unwrap_or_default()
    )]
    MacOfMaster {
        mac: Mac,
        master: String,
        own: Option<Mac>,
    },
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

/// The namespace of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    Node,
    Container,
}

impl std::fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Node => "on the node",
            Self::Container => "in the container, where linkInContainer has it looked for",
        })
    }
}

/// The master cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MasterError {
    #[error("master {name} does not exist {place}")]
    Missing { name: LinkName, place: Whereabouts },
    #[error("master is not configured, and there is no default route {0} to take it from")]
    NoDefaultRoute(Whereabouts),
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
}

impl From<MasterError> for Error {
    fn from(error: MasterError) -> Self {
        match error {
            MasterError::Missing { .. } | MasterError::NoDefaultRoute(_) => {
                Error::new(Code::INVALID_NETWORK_CONFIG, error)
            }
            MasterError::Kernel(error) => error.into(),
        }
    }
}

/// The kernel refused to create the link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error(transparent)]
    Taken(IfnameTaken),
    #[error("the kernel has no {name}: load the module {name}: {source}", name = kind.kind_name())]
    Unknown {
        kind: SubInterface,
        source: NetlinkError,
    },
    #[error(
        "master {master} cannot have a {name} in mode {mode}: {source}: {}",
        hint(*kind, source),
        name = kind.kind_name(),
        mode = kind.mode_name()
    )]
    Refused {
        kind: SubInterface,
        master: String,
        source: NetlinkError,
    },
}

impl CreateError {
    pub(crate) fn new(
        source: NetlinkError,
        kind: SubInterface,
        master: &str,
        ifname: &IfName,
        netns: &std::path::Path,
    ) -> Self {
        if source.is_exists() {
            return Self::Taken(IfnameTaken {
                ifname: ifname.clone(),
                netns: netns.to_owned(),
            });
        }
        if source.errno() == Some(Errno::EOPNOTSUPP) {
            return Self::Unknown { kind, source };
        }
        let master = master.to_owned();
        Self::Refused {
            kind,
            master,
            source,
        }
    }
}

/// The error for the kernel's errno.
fn hint(kind: SubInterface, error: &NetlinkError) -> &'static str {
    match (error.errno(), kind) {
        (Some(Errno::EBUSY), _) => {
            "it is the port of a bridge or bond, has sub-interfaces of another kind, or the mac is in \
                use on it"
        }
        (Some(Errno::EINVAL), SubInterface::Macvlan(_)) => {
            "it is no Ethernet device, or mode passthru does not go together with the macvlans \
                that it has"
        }
        (Some(Errno::EINVAL), SubInterface::Ipvlan(_)) => "it is no Ethernet device",
        _ => "nothing was changed",
    }
}

impl From<CreateError> for Error {
    fn from(error: CreateError) -> Self {
        let code = match &error {
            CreateError::Taken(_) => Code::INVALID_ENVIRONMENT,
            CreateError::Unknown { .. } => Code::IO_FAILURE,
            CreateError::Refused { source, .. } => code_of_refusal(source),
        };
        Error::new(code, error)
    }
}
