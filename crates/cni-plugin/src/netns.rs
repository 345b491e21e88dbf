use std::path::Path;

use cni_types::{Code, Error};
use std::os::unix::fs::MetadataExt;

/// The network namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// Refuses a namespace that is the plugin's own: a plugin would take the node for the container.
///
/// A path that leads nowhere is not refused here: an IPAM plugin does not need it, and DEL must do without it.
///
/// Errors: code 8.
pub(crate) fn refuse_own(netns: &Path) -> Result<(), Error> {
    let Ok(theirs) = std::fs::metadata(netns) else {
        return Ok(());
    };
    let own = std::fs::metadata(OWN).map_err(|error| {
        Error::new(
            Code::INVALID_NETNS,
            format!("cannot tell the plugin's own network namespace from {OWN}: {error}"),
        )
    })?;
    if (theirs.dev(), theirs.ino()) == (own.dev(), own.ino()) {
        return Err(Error::new(
            Code::INVALID_NETNS,
            format!(
                "CNI_NETNS {} is the plugin's own network namespace",
                netns.display()
            ),
        )
        .with_details("set CNI_NETNS_OVERRIDE=1 to allow it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_namespace_is_refused() {
        assert_eq!(refuse_own(Path::new("/nowhere/at/all")), Ok(()));
        assert_eq!(refuse_own(Path::new("/dev/null")), Ok(()));
        let error = refuse_own(Path::new("/proc/self/ns/net")).unwrap_err();
        assert_eq!(
            (error.code, error.msg.as_str()),
            (
                Code::INVALID_NETNS,
                "CNI_NETNS /proc/self/ns/net is the plugin's own network namespace"
            )
        );
    }
}
