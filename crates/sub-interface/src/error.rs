//! What can go wrong with a child, and the code that each error has for the runtime.

use cni_types::{Code, Error, IfName, LinkName, NameError};
use netlink::{Child, Mac, UnknownMode};
use nix::errno::Errno;

use super::{kind_name, mode_name};
use crate::error::code_of_refusal;
use crate::{IfnameTaken, KernelError};

/// A configuration that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfError {
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

impl From<ConfError> for Error {
    fn from(error: ConfError) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

/// Where a master was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Node,
    Container,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Node => "on the node",
            Self::Container => "in the container, where linkInContainer has it looked for",
        })
    }
}

/// There is no master.
#[derive(Debug, thiserror::Error)]
pub(super) enum MasterError {
    #[error("master {name} does not exist {place}")]
    Missing { name: LinkName, place: Place },
    #[error("master is not configured, and there is no default route {0} to take it from")]
    NoDefaultRoute(Place),
    #[error(transparent)]
    Kernel(KernelError),
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

/// The kernel does not make the link.
#[derive(Debug, thiserror::Error)]
pub(super) enum CreateError {
    #[error(transparent)]
    Taken(IfnameTaken),
    #[error("the kernel has no {kind}: load the module {kind}: {source}", kind = kind_name(*child))]
    Unknown { child: Child, source: KernelError },
    #[error(
        "master {master} cannot have a {kind} in mode {mode}: {source}: {}",
        hint(*child, source),
        kind = kind_name(*child),
        mode = mode_name(*child)
    )]
    Refused {
        child: Child,
        master: String,
        source: KernelError,
    },
}

impl CreateError {
    pub(super) fn new(
        error: netlink::NetlinkError,
        child: Child,
        master: &str,
        ifname: &IfName,
        netns: &std::path::Path,
    ) -> Self {
        if error.is_exists() {
            return Self::Taken(IfnameTaken {
                ifname: ifname.clone(),
                netns: netns.to_owned(),
            });
        }
        let source = KernelError::from(error);
        if source.errno() == Some(Errno::EOPNOTSUPP) {
            return Self::Unknown { child, source };
        }
        let master = master.to_owned();
        Self::Refused {
            child,
            master,
            source,
        }
    }
}

/// What the kernel means by so few words.
fn hint(child: Child, error: &KernelError) -> &'static str {
    match (error.errno(), child) {
        (Some(Errno::EBUSY), _) => {
            "it is the port of a bridge or bond, has children of another kind, or the mac is in \
                use on it"
        }
        (Some(Errno::EINVAL), Child::Macvlan(_)) => {
            "it is no Ethernet device, or mode passthru does not go together with the macvlans \
                that it has"
        }
        (Some(Errno::EINVAL), Child::Ipvlan(_)) => "it is no Ethernet device",
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
