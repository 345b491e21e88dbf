//! The plugin's errors, and the code that each has for the runtime.

use cni_types::{AddressError, Code, Error, IfName};
use netlink::NetlinkError;

/// An invalid configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(
        "{prefix}{direction}{has} is {value} without {prefix}{direction}{lacks}: give both, or \
         neither"
    )]
    Half {
        prefix: &'static str,
        direction: &'static str,
        has: &'static str,
        value: u64,
        lacks: &'static str,
    },
    #[error(
        "{prefix}shapedSubnets and {prefix}unshapedSubnets exclude each other: leave one of them \
         out"
    )]
    BothSubnets { prefix: &'static str },
    #[error("{key} {source}")]
    Subnet { key: String, source: AddressError },
    #[error(
        "prevResult of the network configuration is missing: bandwidth limits the interface of a \
         plugin before it in the list"
    )]
    NotChained,
    #[error(
        "bandwidth needs one end of a veth pair, and interface {ifname} of the container is of \
         kind {kind}: leave bandwidth out of the list, or use bridge"
    )]
    NotAVeth { ifname: IfName, kind: String },
    #[error(
        "bandwidth needs the other end of interface {ifname} on the node, where it is not: leave \
         bandwidth out of the list, or use bridge"
    )]
    EndElsewhere { ifname: IfName },
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

/// Why the traffic could not be limited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BandwidthError {
    #[error("CNI_IFNAME {0}: the container has no such interface")]
    NoInterface(IfName),
    #[error(
        "link {link} has qdisc {kind} {handle} of somebody else: remove it (tc qdisc del), or \
         leave the limit out"
    )]
    Occupied {
        link: String,
        kind: String,
        handle: String,
    },
    #[error(
        "the name {0} of the link for what the container sends is taken: rename the other link"
    )]
    IfbTaken(String),
    #[error(
        "{asked_by} is not possible: the kernel lacks {lacks} (its modules may be in a package of \
         their own)"
    )]
    Unsupported {
        asked_by: &'static str,
        lacks: &'static str,
    },
    #[error("the kernel cannot limit traffic like this: {0}")]
    Incapable(NetlinkError),
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
}

impl From<BandwidthError> for Error {
    fn from(error: BandwidthError) -> Self {
        let code = match error {
            BandwidthError::NoInterface(_) => Code::INVALID_ENVIRONMENT,
            BandwidthError::Occupied { .. }
            | BandwidthError::IfbTaken(_)
            | BandwidthError::Unsupported { .. }
            | BandwidthError::Incapable(_) => Code::UNSUPPORTED_FIELD,
            BandwidthError::Kernel(error) => return error.into(),
        };
        Error::new(code, error)
    }
}

/// Why CHECK fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    #[error("{direction}Rate has no effect: {what} of link {link} is gone or has been replaced")]
    Gone {
        direction: &'static str,
        what: &'static str,
        link: String,
    },
    #[error("link {link} is down: what the container sends is lost; an ADD brings it up")]
    Down { link: String },
    #[error(
        "{direction}Rate has another effect: link {link} lets {found} bytes per second pass, not \
         {expected}"
    )]
    Rate {
        direction: &'static str,
        link: String,
        found: u64,
        expected: u64,
    },
    #[error(
        "{direction}Burst has another effect: link {link} lets {found} bytes pass at once, not \
         {expected}"
    )]
    Burst {
        direction: &'static str,
        link: String,
        found: u64,
        expected: u64,
    },
}

impl From<Damage> for Error {
    fn from(error: Damage) -> Self {
        Error::new(Code::CHECK_FAILED, error)
    }
}
