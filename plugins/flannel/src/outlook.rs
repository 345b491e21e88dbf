//! Whether a call that a delegate failed may succeed later.

use cni_plugin::DelegateError;
use cni_types::{Code, Error};

/// Whether the same call could succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// It may succeed as soon as another process has released a lock.
    Soon,
    /// It may succeed once the node's disk, memory or kernel works again.
    Node,
    /// It may succeed; the error does not say.
    Unknown,
    /// It may succeed once the delegate, or the IPAM plugin that it needs, is installed.
    NotInstalled,
    /// It cannot succeed with this configuration, which the delegate refused before it did
    /// anything.
    Refused,
}

impl Outlook {
    /// The outlook of an error. The Go plugins' code 999, for nearly everything, gives
    /// [`Outlook::Unknown`].
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

    /// Whether the failure is permanent: time alone does not help.
    pub(crate) fn is_lasting(self) -> bool {
        matches!(self, Self::NotInstalled | Self::Refused)
    }

    /// Whether the configuration itself may make every call fail.
    pub(crate) fn may_be_mistake(self) -> bool {
        matches!(self, Self::Unknown | Self::Refused)
    }
}

/// Whether a delegate that failed an ADD and then its rollback cannot have left anything for a
/// later DEL: it reported an error both times, and both errors are the same, or both are permanent.
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
