//! GC: removes the mappings of attachments that are no longer valid.

use cni_plugin::Call;
use cni_types::{Error, ValidAttachments};

pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    Ok(firewall::gc_port_maps(&call.conf.name, valid)?)
}
