//! What the failure of a delegate says about the next call.

use cni_plugin::DelegateError;
use cni_types::{Code, Error};

/// Whether the same call could succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// It could as soon as others are done.
    Soon,
    /// It could once the node's disk, memory or kernel works again.
    Node,
    /// It could, for all that is known.
    Unknown,
    /// It could once the delegate is installed, or the IPAM plugin that it needs.
    NotInstalled,
    /// It could not with this configuration: the delegate refused it before it did anything.
    Refused,
}

impl Outlook {
    /// The Go plugins have one code for nearly everything, which says nothing.
    pub(crate) fn of(error: &DelegateError) -> Self {
        match error {
            DelegateError::Missing { .. } | DelegateError::NotExecutable { .. } => {
                Self::NotInstalled
            }
            DelegateError::Failed { error, .. } => match error.code {
                Code::TRY_AGAIN_LATER => Self::Soon,
                Code::IO_FAILURE => Self::Node,
                Code::DELEGATE_UNUSABLE => Self::NotInstalled,
                Code::INCOMPATIBLE_VERSION
                | Code::UNSUPPORTED_FIELD
                | Code::DECODING_FAILURE
                | Code::INVALID_NETWORK_CONFIG => Self::Refused,
                _ => Self::Unknown,
            },
            DelegateError::Start { .. } | DelegateError::Talk { .. } => Self::Node,
            DelegateError::Died { .. } | DelegateError::Garbage { .. } => Self::Unknown,
        }
    }

    /// Whether time alone does not help.
    pub(crate) fn is_lasting(self) -> bool {
        matches!(self, Self::NotInstalled | Self::Refused)
    }

    /// Whether the configuration itself may be what makes every call fail.
    pub(crate) fn may_be_mistake(self) -> bool {
        matches!(self, Self::Unknown | Self::Refused)
    }
}

/// Whether a delegate that failed an ADD and then the ADD's DEL can have left nothing that a later
/// DEL has to remove: it ended in order both times, and refused the configuration or the node as
/// such, since both commands met the same error.
pub(crate) fn left_nothing(add: &DelegateError, del: &DelegateError) -> bool {
    match (add, del) {
        (
            DelegateError::Failed {
                error: add_error, ..
            },
            DelegateError::Failed {
                error: del_error, ..
            },
        ) => {
            is_same(add_error, del_error)
                || [add, del]
                    .iter()
                    .all(|error| Outlook::of(error).is_lasting())
        }
        _ => false,
    }
}

fn is_same(one: &Error, other: &Error) -> bool {
    (one.code, &one.msg) == (other.code, &other.msg)
}
