//! DEL: sets `lo` down.

use cni_plugin::ContainerNetns;
use cni_types::Error;
use container_link::Sandbox;

use crate::lo;

/// Sets `lo` down, unless the container's namespace is gone.
pub(crate) fn del(netns: Option<&ContainerNetns>) -> Result<(), Error> {
    match Sandbox::open_if_any(netns)? {
        Some((_, mut inside)) => Ok(lo::set_up(&mut inside, false)?),
        None => Ok(()),
    }
}
