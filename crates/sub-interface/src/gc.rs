//! GC: a sub-interface disappears with its container's namespace, so only addresses may be left.

use cni_plugin::Call;
use cni_types::Error;
use container_link::Ipam;

/// Passes GC on to the IPAM plugin.
pub(crate) fn gc(call: &Call<'_>) -> Result<(), Error> {
    Ipam::gc(call)
}
