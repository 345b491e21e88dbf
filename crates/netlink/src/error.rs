//! The crate's errors.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use cni_types::Code;
use nix::errno::Errno;

use crate::NetnsError;

/// Why the kernel's links, addresses, routes or rules could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel refused a request.
    #[error(
        "cannot {what}: {}{}{}",
        errno.desc(),
        text.as_ref().map(|text| format!(": {text}")).unwrap_or_default(),
        hint(*errno)
    )]
    Refused {
        /// The request, with the name of the link: `change link cni0`.
        what: String,
        /// The kernel's reason.
        errno: Errno,
        /// The reason in the kernel's own words, where it gives any.
        text: Option<String>,
    },
    /// The socket itself failed.
    #[error("cannot {action} a netlink socket: {}", errno.desc())]
    Socket {
        /// The operation on the socket.
        action: &'static str,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The kernel's answer is malformed or missing.
    #[error("cannot {what}: the kernel's answer cannot be read: {reason}")]
    Garbled {
        /// The request.
        what: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Others changed a list during each attempt to read it.
    #[error("cannot {what}: others keep changing it: try again")]
    Unsteady {
        /// The request.
        what: String,
    },
    /// A condition of a link or of its addresses did not hold before the timeout.
    #[error("{what} is not so after {} s", timeout.as_secs_f32())]
    TimedOut {
        /// The condition: `link veth0 up`.
        what: String,
        /// The time after which the wait ended.
        timeout: Duration,
    },
    /// Another machine on the link has the address (duplicate address detection, RFC 4862).
    #[error("address {address} is in use by another machine on link {link}: give another one")]
    DuplicateAddress {
        /// The address.
        address: IpAddr,
        /// The link's name.
        link: String,
    },
    /// A namespace could not be used.
    #[error(transparent)]
    Netns(#[from] NetnsError),
}

impl NetlinkError {
    /// The errno, if the kernel refused a request.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether the kernel refused a request.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether the link, address or route that was to be added exists.
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(Errno::EEXIST)
    }

    /// Whether the link, address, route or rule that was named does not exist.
    ///
    /// The kernel has a code of its own for each: `ENODEV`, `EADDRNOTAVAIL`, `ESRCH`, `ENOENT`.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::ENODEV | Errno::EADDRNOTAVAIL | Errno::ESRCH | Errno::ENOENT)
        )
    }

    /// Whether a bridge has as many ports as it can have.
    pub fn is_full(&self) -> bool {
        self.errno() == Some(Errno::EXFULL)
    }

    /// Whether the kernel lacks the feature: the module of a kind of link, for example.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT)
        )
    }

    /// Whether others changed a list during each attempt to read it.
    pub fn is_unsteady(&self) -> bool {
        matches!(self, Self::Unsteady { .. })
    }

    /// Whether a deadline has passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}

impl From<NetlinkError> for cni_types::Error {
    fn from(error: NetlinkError) -> Self {
        let code = match error {
            NetlinkError::Netns(error) => return error.into(),
            NetlinkError::TimedOut { .. } | NetlinkError::Unsteady { .. } => Code::TRY_AGAIN_LATER,
            NetlinkError::Refused { .. }
            | NetlinkError::Socket { .. }
            | NetlinkError::Garbled { .. }
            | NetlinkError::DuplicateAddress { .. } => Code::IO_FAILURE,
        };
        cni_types::Error::new(code, error)
    }
}

/// Advice about a refusal, if the errno allows any. `EACCES` has other reasons than a missing
/// capability: IPv6 that is switched off on a link.
fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => ": this needs CAP_NET_ADMIN",
        _ => "",
    }
}

/// The kernel's reason in an error of the standard library.
pub(crate) fn errno_of(error: &io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw)
}
