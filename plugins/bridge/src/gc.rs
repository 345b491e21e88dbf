//! GC of veth pairs and rules.

use cni_plugin::Call;
use cni_types::{Error, ValidAttachments};
use container_link::Ipam;

use crate::{detach, rules};

/// Removes the veth pairs and the rules of stale attachments, and passes GC on to the IPAM plugin.
pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    // IPAM comes last: an address must not be allocated again while a link or a rule has it.
    let pairs = detach::gc(call, valid);
    let rules = rules::gc(call, valid);
    let by_ipam = Ipam::gc(call);
    let errors = [pairs.err(), rules.err(), by_ipam.err()];
    Error::join(errors.into_iter().flatten()).map_or(Ok(()), Err)
}
