//! The values that `cnitool` derives from its arguments, so that either tool finds the other's
//! attachments.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cni_types::{ContainerId, NameError};
use hmac_sha512::Hash;

/// The number of bytes of the hash in a container ID.
const LENGTH: usize = 10;

/// The container ID for a network namespace without a container: a hash of its path.
///
/// # Errors
/// Never: the type of a container ID does not know that this text is one.
pub fn container_id(netns: &Path) -> Result<ContainerId, NameError> {
    let hash = Hash::hash(netns.as_os_str().as_bytes());
    let start = hash.iter().take(LENGTH);
    let digits: String = start.map(|byte| format!("{byte:02x}")).collect();
    format!("cnitool-{digits}").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_that_of_cnitool() {
        // `printf /var/run/netns/testing | sha512sum | cut -c1-20`
        let id = container_id(Path::new("/var/run/netns/testing")).unwrap();
        assert_eq!(id.as_str(), "cnitool-77383ca0a0715733ca6f");
    }
}
