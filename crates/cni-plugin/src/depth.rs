//! The limit of nested delegations. A `type` that leads back to its caller would otherwise recurse
//! without end.

use cni_types::{Code, Error};

use crate::Environment;

/// The number of delegations between the runtime and a plugin. Other plugins pass on their whole
/// environment, and thus this variable.
pub(crate) const VARIABLE: &str = "CNI_DELEGATION_DEPTH";

/// The largest number of delegations. Another project's meta plugin that runs `flannel`, `bridge`
/// and `host-local` needs three.
const MAX: u32 = 8;

/// The number of delegations so far. A value that is not a number counts as 0.
pub(crate) fn of(environment: &Environment) -> u32 {
    let text = environment.get(VARIABLE).and_then(|text| text.to_str());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Refuses a call beyond the limit.
///
/// # Errors
/// Code 7 after more than [`MAX`] delegations.
pub(crate) fn check(environment: &Environment) -> Result<(), Error> {
    if of(environment) <= MAX {
        return Ok(());
    }
    Err(Error::new(
        Code::INVALID_NETWORK_CONFIG,
        format!(
            "more than {MAX} plugins delegate to each other: a type in the network configuration, of delegate or of ipam, \
             leads back to a plugin that has been called before, or the file of one plugin in CNI_PATH is another plugin"
        ),
    ))
}
