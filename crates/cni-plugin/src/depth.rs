//! How deep plugins call each other: a `type` that leads back to its caller would go on for ever.

use cni_types::{Code, Error};

use crate::Environment;

/// Counts the delegations between the runtime and a plugin. Plugins of others pass it on as they
/// pass on all of their environment, so it counts through them.
pub(crate) const VARIABLE: &str = "CNI_DELEGATION_DEPTH";

/// The most delegations. A meta plugin of another project, flannel, bridge and host-local make
/// three.
const MAX: u32 = 8;

/// How many plugins have delegated to get here. What is no number counts as none.
pub(crate) fn of(environment: &Environment) -> u32 {
    let text = environment.get(VARIABLE).and_then(|text| text.to_str());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Refuses a call that is too deep.
///
/// # Errors
/// Code 7.
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
