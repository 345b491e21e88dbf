//! CHECK: `lo` is up.

use cni_plugin::ContainerNetns;
use cni_types::Error;
use container_link::Sandbox;

use crate::error::NotUp;
use crate::lo;

/// Reports whether `lo` is up.
pub(crate) fn check(netns: &ContainerNetns) -> Result<(), Error> {
    let (_, mut inside) = Sandbox::open(netns)?;
    if lo::find(&mut inside)?.is_up {
        Ok(())
    } else {
        Err(NotUp(netns.path().to_owned()).into())
    }
}
